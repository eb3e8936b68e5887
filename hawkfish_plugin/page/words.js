// SPDX-License-Identifier: Apache-2.0
/**
 * What things are, and what an operation will do, in sentences. Pure.
 */

import { ago, counted, fromNow, size } from "./formats.js";

const KINDS = { Disk: "disks", DiskAndMemory: "memory and disks" };
const CONSISTENCY = {
  Memory: "the guest continues where it was",
  FileSystem: "clean file systems",
  Crash: "as after a power failure",
  Off: "as it was powered off",
  Consistent: "all paused, with memory",
  Live: "each as if it were alone",
  DisksOnly: "all paused, disks only",
};
const POWER = { On: "on", Off: "off", Paused: "paused" };

/** "memory and disks, external", as far as it is known. */
export function kind(snapshot) {
  const known = [
    KINDS[snapshot.SnapshotType],
    snapshot.StorageType?.toLowerCase(),
  ];
  return known.filter(Boolean).join(", ");
}

/** What the guest finds after a revert, or how a group was captured. */
export function consistency(snapshot) {
  const name = snapshot.Consistency;
  return name ? `${name}: ${CONSISTENCY[name] ?? name}` : "–";
}

export function power(name) {
  return POWER[name] ?? String(name ?? "unknown").toLowerCase();
}

/** What a screen reader says of a snapshot in its tree. */
export function label(snapshot, parent, progress, now) {
  const age = snapshot.CreatedTime && `${ago(snapshot.CreatedTime, now)} old`;
  const expires =
    snapshot.ExpiresTime && `expires ${fromNow(snapshot.ExpiresTime, now)}`;
  const facts = [
    snapshot.Name,
    state(snapshot, progress),
    kind(snapshot),
    age,
    snapshot.SizeBytes === null ? "" : size(snapshot.SizeBytes),
    snapshot.Locked && "locked",
    expires,
    parent && `parent ${parent}`,
    snapshot.Current && "the system is here",
  ];
  return facts.filter(Boolean).join(", ");
}

/** The state of a snapshot, and how far it is: "Creating 40%". */
export function state(snapshot, progress) {
  const name = snapshot.SnapshotState;
  const isBusy = ["Creating", "Reverting", "Deleting"].includes(name);
  return isBusy && progress !== undefined ? `${name} ${progress}%` : name;
}

/** What a revert does and loses, of its RevertPreview: a list of sentences. */
export function revertSentences(preview) {
  const said = [loss(preview)];
  if (preview.Pruned.length) {
    said.push(
      `To make room, the policy deletes ${quoted(preview.Pruned)} first.`,
    );
  }
  said.push(
    outcome(preview),
    ...needs(preview.Needs),
    ...preview.Warnings.map(advice),
  );
  return said;
}

function outcome(preview) {
  const after = `The system will be ${power(preview.PowerState)}.`;
  if (preview.MemoryRestored) {
    return `${after} The guest continues where it was, with its memory.`;
  }
  return preview.PowerState === "Off"
    ? after
    : `${after} Its memory is not restored: it starts anew from its disks.`;
}

function loss(preview) {
  if (preview.SafetySnapshot) {
    return "Nothing is lost: a safety snapshot keeps the present state.";
  }
  return preview.DiscardedSince === null
    ? "Lost for good: everything that the system holds now."
    : "Lost for good: everything that the system has written since " +
        `snapshot “${preview.DiscardedSince}”.`;
}

/** What a group revert does and loses, of its RevertPreview. */
export function groupRevertSentences(preview) {
  const said = [
    `Reverted together: ${quoted(preview.Systems.map((one) => one.Name))}.`,
    preview.SafetySnapshot
      ? "Nothing is lost: a safety snapshot keeps the present state."
      : "Lost for good: everything that these systems have written since " +
        "their last snapshots.",
  ];
  if (preview.LeftAlone.length) {
    said.push(`These stay as they are: ${quoted(preview.LeftAlone)}.`);
  }
  return [
    ...said,
    ...preview.Systems.map((one) => `${one.Name}: ${outcome(one)}`),
    ...needs(preview.Needs),
    ...preview.Systems.flatMap((one) =>
      one.Warnings.map((warning) => `${one.Name}: ${advice(warning)}`),
    ),
  ];
}

/** Whether a snapshot cannot be deleted as it is. */
export function isKept(snapshot) {
  return Boolean(snapshot.Locked || referrersOf(snapshot).length);
}

/** What a purge of so many snapshots, and of the locked ones, does. */
export function purgeSentences(count, locked, isForced) {
  const said = [];
  if (locked && !isForced) {
    const are = locked === 1 ? "is" : "are";
    said.push(
      `${counted(locked, "snapshot")} ${are} locked: unlock what should go, ` +
        "or include locked snapshots.",
    );
  }
  return [
    ...said,
    `${counted(count, "snapshot")} will be deleted, and the states in them ` +
      "are lost for good.",
    "The system itself stays as it is.",
  ];
}

/** What a delete frees, and what stands in its way. */
export function deleteSentences(snapshot) {
  const said = [];
  if (snapshot.Locked) said.push("It is locked: unlock it first.");
  const referrers = referrersOf(snapshot);
  if (referrers.length) {
    said.push(`These need its data: ${quoted(referrers)}.`);
  }
  said.push(
    snapshot.ExclusiveSizeBytes === null
      ? "How much it frees is not known."
      : `It frees ${size(snapshot.ExclusiveSizeBytes)}.`,
    "The system and all other snapshots stay as they are. The state that " +
      "the snapshot holds is lost for good.",
  );
  return said;
}

/** Who keeps a snapshot from being deleted, by name. */
export function referrersOf(snapshot) {
  const links = snapshot.Links?.ReferencedBy ?? [];
  const files = snapshot.ReferencedByFiles ?? [];
  return [...links.map((link) => lastPart(link["@odata.id"])), ...files];
}

/** What a create would do, of its CreatePreview: a list of sentences. */
export function createSentences(preview) {
  const isGroup = preview.Systems !== undefined;
  const held = isGroup
    ? `of ${counted(preview.Systems.length, "system")}, ${preview.Consistency}`
    : kind(preview);
  const said = [`It would be called “${preview.Name}”: ${held}.`];
  if (preview.SizeBytes !== null) {
    said.push(`It takes up to ${size(preview.SizeBytes)}.`);
  }
  if (isGroup && preview.PauseMilliseconds !== null) {
    said.push(`The pause is up to ${preview.PauseMilliseconds} ms.`);
  }
  said.push(...needs(preview.Needs));
  for (const { Name, Reason } of preview.Pruned) {
    said.push(`The policy deletes “${Name}” (${Reason}).`);
  }
  if (!preview.Pruned.length) said.push("The policy deletes nothing.");
  for (const { Name, Reasons } of preview.Kept) {
    said.push(`“${Name}” has to stay: ${Reasons.join(", ")}.`);
  }
  if (preview.UnmetLimits.length) {
    said.push(`Limits that cannot be met: ${preview.UnmetLimits.join(", ")}.`);
  }
  return said;
}

function needs(found) {
  return found.map(
    (need) =>
      `It needs up to ${size(need.NeededBytes)} in ${need.Folder}, where ` +
      `${size(need.AvailableBytes)} are available.`,
  );
}

/** A message of the service, with its advice. */
export function advice(message) {
  const { Message, Resolution } = message;
  return Resolution && !/^None\.?$/.test(Resolution)
    ? `${Message} ${Resolution}`
    : Message;
}

/** The last part of a URI, as it is called. */
export function lastPart(uri) {
  return decodeURIComponent(uri.slice(uri.lastIndexOf("/") + 1));
}

export function quoted(names) {
  return names.map((name) => `“${name}”`).join(", ");
}
