// SPDX-License-Identifier: Apache-2.0
/** One change in a list of snapshots shows before all are read again. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { merged } from "../../../hawkfish_plugin/page/merge.js";

function snapshot(name, parent, Current = false) {
  const ParentSnapshot = parent && { "@odata.id": `/${parent}` };
  return { "@odata.id": `/${name}`, Links: { ParentSnapshot }, Current };
}

const LIST = [
  snapshot("a", null),
  snapshot("b", "a"),
  snapshot("c", "b", true),
  snapshot("d", "b"),
];

test("what is new is there, and the system stands on it alone", () => {
  const found = merged(LIST, "/e", snapshot("e", "c", true));
  assert.deepEqual(
    found.filter((one) => one.Current).map((one) => one["@odata.id"]),
    ["/e"],
  );
  assert.equal(found.length, 5);
});

test("what has changed takes the place of what was", () => {
  const changed = { ...LIST[1], Locked: true };
  assert.deepEqual(merged(LIST, "/b", changed)[1], changed);
});

test("what grew from what is gone grows from what is above", () => {
  const found = merged(LIST, "/b", null);
  assert.deepEqual(
    found.map((one) => one.Links.ParentSnapshot?.["@odata.id"]),
    [undefined, "/a", "/a"],
  );
});

test("the system stands on the parent of what is gone", () => {
  const found = merged(LIST, "/c", null);
  assert.deepEqual(
    found.map((one) => one.Current),
    [false, true, false],
  );
  assert.equal(merged(LIST, "/none", null), LIST);
});
