// SPDX-License-Identifier: Apache-2.0
/** What can be done with a system, a group and their snapshots. */

import { changes, notice, service, tasks } from "./context.js";
import { openDialog } from "./dialog.js";
import { moment, parseWhen } from "./formats.js";
import { snapshotsOf } from "./redfish.js";
import * as words from "./words.js";

/** Tell that what is at *uri* has changed. */
function hint(uri) {
  changes.dispatchEvent(new CustomEvent("hint", { detail: uri }));
}

/** Ask for an operation, and follow its task. */
async function start(method, uri, body, etag) {
  await tasks.follow(await service.send(method, uri, body, etag));
}

/** Do *action*; where it is refused, say why. */
export async function attempt(action) {
  try {
    await action();
  } catch (error) {
    const said = error.messages?.map(words.advice) ?? [error.message];
    notice(said.join(" "), true);
  }
}

/** The value of a field that may say nothing, as a parameter of its name. */
function given(name, value) {
  return value === "" ? {} : { [name]: value };
}

function choice(name, value) {
  return value === "" ? {} : { [name]: value === "true" };
}

/** *subject* is {uri, name, isGroup}, of a system or a group. */
export function create(subject) {
  const { uri, name, isGroup } = subject;
  const snapshots = snapshotsOf(uri);
  openDialog({
    title: `Create a snapshot of ${name}`,
    fields: "create",
    isGroup,
    submit: "Create",
    preview: async (form) =>
      words.createSentences(
        await service.send("POST", previewOf(subject), creation(form)),
      ),
    accept: (form) => start("POST", snapshots, creation(form)),
  });
}

/** The URI of the dry run of a create. */
export function previewOf({ uri, isGroup }) {
  return isGroup
    ? `${snapshotsOf(uri)}/Actions/HawkFishGroupSnapshotCollection.PreviewCreate`
    : `${uri}/Oem/HawkFish/SnapshotPolicy/Actions/HawkFishSnapshotPolicy.PreviewCreate`;
}

function creation(form) {
  const { name, description, memory, consistency, quiesce, expires, locked } =
    form.elements;
  const when = parseWhen(expires.value, Date.now());
  return {
    ...given("Name", name.value.trim()),
    ...given("Description", description.value),
    ...(memory && choice("IncludeMemory", memory.value)),
    ...(consistency && { Consistency: consistency.value }),
    ...given("Quiesce", quiesce.value),
    ...(when && { ExpiresTime: when }),
    ...(locked.checked && { Locked: true }),
  };
}

export function revert(snapshot) {
  const isGroup = snapshot.Systems !== undefined;
  const kind = isGroup ? "HawkFishGroupSnapshot" : "HawkFishSnapshot";
  const { target } = snapshot.Actions[`#${kind}.Revert`];
  openDialog({
    title: `Revert to “${snapshot.Name}”`,
    fields: "revert",
    isGroup,
    submit: "Revert",
    isDanger: true,
    isLive: true,
    preview: async (form) => {
      const seen = await service.send("POST", target, {
        ...reversion(form),
        DryRun: true,
      });
      return isGroup
        ? words.groupRevertSentences(seen)
        : words.revertSentences(seen);
    },
    accept: (form) => start("POST", target, reversion(form)),
  });
}

function reversion(form) {
  const { power, safety, added, partial, force } = form.elements;
  return {
    TargetPowerState: power.value,
    ...choice("SafetySnapshot", safety.value),
    ...(added?.checked && { AddedSystems: "LeaveAlone" }),
    ...(partial?.checked && { Partial: true }),
    ...(force.checked && { Force: true }),
  };
}

/** Delete a snapshot; what is asked for is what was seen. */
export function remove(snapshot) {
  openDialog({
    title: `Delete “${snapshot.Name}”`,
    submit: "Delete",
    isDanger: true,
    isLive: true,
    isBlocked: () => words.isKept(snapshot),
    preview: () => Promise.resolve(words.deleteSentences(snapshot)),
    accept: () =>
      start(
        "DELETE",
        snapshot["@odata.id"],
        undefined,
        snapshot["@odata.etag"],
      ),
  });
}

export function edit(snapshot) {
  const uri = snapshot["@odata.id"];
  const expires = snapshot.ExpiresTime ?? "";
  openDialog({
    title: `Edit “${snapshot.Name}”`,
    fields: "edit",
    submit: "Save",
    start: ({ elements }) => {
      elements.description.value = snapshot.Description ?? "";
      elements.expires.value = expires;
      elements.expires.title = moment(expires);
      elements.locked.checked = snapshot.Locked;
    },
    accept: async ({ elements }) => {
      const body = {
        Description: elements.description.value || null,
        Locked: elements.locked.checked,
      };
      // One in the past can stay, but not be set again.
      if (elements.expires.value !== expires) {
        body.ExpiresTime = parseWhen(elements.expires.value, Date.now());
      }
      await service.send("PATCH", uri, body, snapshot["@odata.etag"]);
      hint(uri);
    },
  });
}

export function toggleLock(snapshot) {
  const uri = snapshot["@odata.id"];
  return attempt(async () => {
    await service.send(
      "PATCH",
      uri,
      { Locked: !snapshot.Locked },
      snapshot["@odata.etag"],
    );
    hint(uri);
  });
}

export function purge({ uri, name }, count, locked) {
  const snapshots = snapshotsOf(uri);
  openDialog({
    title: `Purge ${name}`,
    fields: "purge",
    submit: "Delete all snapshots",
    isDanger: true,
    isLive: true,
    isBlocked: ({ elements }) => locked > 0 && !elements.force.checked,
    preview: async ({ elements }) =>
      words.purgeSentences(count, locked, elements.force.checked),
    accept: ({ elements }) =>
      start("POST", `${snapshots}/Actions/HawkFishSnapshotCollection.Purge`, {
        Force: elements.force.checked,
      }),
  });
}

export function cancel(task) {
  return attempt(() => tasks.cancel(task));
}

export function exportSnapshot(snapshot) {
  const { target } = snapshot.Actions["#HawkFishSnapshot.Export"];
  openDialog({
    title: `Export “${snapshot.Name}”`,
    fields: "export",
    submit: "Export",
    isLive: true,
    preview: async () => [
      "A bundle is made of it, which can then be downloaded under Exports.",
    ],
    accept: ({ elements }) =>
      start("POST", target, { Memory: elements.memory.checked }),
  });
}

export function verify(snapshot) {
  const { target } = snapshot.Actions["#HawkFishSnapshot.Verify"];
  openDialog({
    title: `Verify “${snapshot.Name}”`,
    fields: "verify",
    submit: "Verify",
    isLive: true,
    preview: async () => [
      "An isolated clone of it is started, checked and removed.",
    ],
    accept: ({ elements }) =>
      start("POST", target, { Agent: elements.agent.checked }),
  });
}
