// SPDX-License-Identifier: Apache-2.0
/** What is said of a snapshot, and of an operation before it is asked for. */
import assert from "node:assert/strict";
import { test } from "node:test";

import * as words from "../../../hawkfish_plugin/page/words.js";

const NOW = Date.parse("2026-11-28T12:00:00Z");
const CLEAN = {
  Name: "clean",
  SnapshotState: "Ready",
  SnapshotType: "DiskAndMemory",
  StorageType: "External",
  CreatedTime: "2026-11-28T09:00:00Z",
  ExpiresTime: null,
  SizeBytes: 65536,
  ExclusiveSizeBytes: 1024,
  Locked: false,
  Current: true,
  ReferencedByFiles: ["/tmp/clone.qcow2"],
  Links: { ReferencedBy: [{ "@odata.id": "/redfish/v1/x/a%2Fb" }] },
};
const PREVIEW = {
  Name: "clean",
  PowerState: "On",
  MemoryRestored: true,
  DiscardedSince: "later",
  SafetySnapshot: false,
  Pruned: [],
  Needs: [],
  Warnings: [],
};

test("a snapshot is told in one breath", () => {
  assert.equal(
    words.label(CLEAN, "base", undefined, NOW),
    "clean, Ready, memory and disks, external, 3h old, 64.0 KiB, " +
      "parent base, the system is here",
  );
});

test("only what is being done has progress", () => {
  const busy = { ...CLEAN, SnapshotState: "Creating" };
  assert.equal(words.state(busy, 40), "Creating 40%");
  assert.equal(words.state(CLEAN, 40), "Ready");
});

test("a revert says what is lost first", () => {
  const [first] = words.revertSentences(PREVIEW);
  assert.match(first, /Lost for good: .* since snapshot “later”/);
  const since = { ...PREVIEW, DiscardedSince: null };
  assert.match(words.revertSentences(since)[0], /everything .* holds now/);
  const safe = { ...since, SafetySnapshot: true };
  assert.match(words.revertSentences(safe)[0], /^Nothing is lost/);
});

test("a revert says what it needs, prunes and warns of", () => {
  const said = words
    .revertSentences({
      ...PREVIEW,
      MemoryRestored: false,
      PowerState: "On",
      Pruned: ["old"],
      Needs: [{ Folder: "/f", NeededBytes: 1024, AvailableBytes: 2048 }],
      Warnings: [{ Message: "Disk gone.", Resolution: "Attach it." }],
    })
    .join("\n");
  for (const part of [
    "deletes “old” first",
    "will be on. Its memory is not restored",
    "1.0 KiB in /f, where 2.0 KiB",
    "Disk gone. Attach it.",
  ]) {
    assert.ok(said.includes(part), part);
  }
});

test("a revert of a group says what becomes of each system", () => {
  const preview = {
    SafetySnapshot: false,
    LeftAlone: ["node-3"],
    Needs: [{ Folder: "/f", NeededBytes: 1024, AvailableBytes: 2048 }],
    Systems: [
      { ...PREVIEW, Name: "node-1" },
      {
        ...PREVIEW,
        Name: "node-2",
        PowerState: "Off",
        Warnings: [{ Message: "Disk gone.", Resolution: "Attach it." }],
      },
    ],
  };
  const said = words.groupRevertSentences(preview).join("\n");
  for (const part of [
    "Reverted together: “node-1”, “node-2”.",
    "Lost for good",
    "stay as they are: “node-3”",
    "node-1: The system will be on.",
    "node-2: The system will be off.",
    "1.0 KiB in /f",
    "node-2: Disk gone. Attach it.",
  ]) {
    assert.ok(said.includes(part), part);
  }
  const kept = words.groupRevertSentences({
    ...preview,
    SafetySnapshot: true,
  });
  assert.match(kept[1], /^Nothing is lost/);
});

test("a delete says what it frees, and what is in its way", () => {
  const said = words.deleteSentences({ ...CLEAN, Locked: true }).join("\n");
  assert.match(said, /locked/);
  assert.match(said, /“a\/b”, “\/tmp\/clone.qcow2”/);
  assert.match(said, /frees 1.0 KiB/);
});

test("a preview of a create says what the policy does", () => {
  const said = words
    .createSentences({
      Name: "new",
      SnapshotType: "Disk",
      StorageType: "Internal",
      SizeBytes: null,
      Needs: [],
      Pruned: [{ Name: "old", Reason: "MaxSnapshots" }],
      Kept: [{ Name: "held", Reasons: ["Locked"] }],
      UnmetLimits: ["MaxBytes"],
    })
    .join("\n");
  for (const part of ["disks, internal", "“old” (Max", "“held”", "MaxBytes"]) {
    assert.ok(said.includes(part), part);
  }
});

test("advice of None is none", () => {
  assert.equal(words.advice({ Message: "A.", Resolution: "None" }), "A.");
  assert.equal(words.advice({ Message: "A.", Resolution: "None." }), "A.");
});

test("a purge says what is locked, unless that goes as well", () => {
  const [first] = words.purgeSentences(3, 1, false);
  assert.match(first, /^1 snapshot is locked/);
  assert.match(words.purgeSentences(3, 2, false)[0], /^2 snapshots are/);
  assert.match(words.purgeSentences(3, 1, true)[0], /^3 snapshots will be/);
});

test("what is locked, or needed by another, is kept", () => {
  assert.equal(words.isKept(CLEAN), true);
  const free = { ...CLEAN, ReferencedByFiles: [], Links: {} };
  assert.equal(words.isKept(free), false);
  assert.equal(words.isKept({ ...free, Locked: true }), true);
});
