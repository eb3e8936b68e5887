// SPDX-License-Identifier: Apache-2.0
/** The layout of the tree: order, lanes, and places as ARIA counts them. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { layOut } from "../../../hawkfish_plugin/page/lanes.js";

/** Nodes of "name<parent@time" in a row. */
function nodes(text) {
  return text.split(" ").map((word) => {
    const [, id, parent, time] = /^(\w+)(?:<(\w+))?@(\d+)$/.exec(word);
    return { id, parent: parent ?? null, time: Number(time) };
  });
}

/** What a terminal would show of the lanes. */
function drawn(rows) {
  return rows.map((row) => {
    const width = Math.max(row.column, ...row.into, ...row.through) + 1;
    const line = Array(width).fill(" ");
    for (const lane of row.through) line[lane] = "|";
    for (const lane of row.into) line[lane] = "/";
    line[row.column] = "*";
    return `${line.join("")} ${row.id}`;
  });
}

test("a chain is one lane, the newest first", () => {
  const rows = layOut(nodes("a@1 b<a@2 c<b@3"));
  assert.deepEqual(drawn(rows), ["* c", "* b", "* a"]);
  assert.deepEqual(
    rows.map((row) => row.down),
    [true, true, false],
  );
  assert.deepEqual(
    rows.map((row) => row.level),
    [3, 2, 1],
  );
});

test("each branch has a lane, which ends where it began", () => {
  const rows = layOut(nodes("a@1 b<a@2 c<b@3 d<b@4 e<c@5 f<a@6"));
  assert.deepEqual(drawn(rows), [
    "* f",
    "|* e",
    "||* d",
    "|*| c",
    "|*/ b",
    "*/ a",
  ]);
});

test("a lane that has ended is used again", () => {
  const rows = layOut(nodes("a@1 b@2 c<b@3 d@4 e<d@5"));
  assert.deepEqual(drawn(rows), ["* e", "* d", "* c", "* b", "* a"]);
});

test("siblings are counted, the oldest first", () => {
  const rows = layOut(nodes("a@1 b<a@2 c<a@3"));
  const found = rows.map(({ id, position, siblings }) => [
    id,
    position,
    siblings,
  ]);
  assert.deepEqual(found, [
    ["c", 2, 2],
    ["b", 1, 2],
    ["a", 1, 1],
  ]);
});

test("a parent is below its children, whatever the clock said", () => {
  const rows = layOut(nodes("a@9 b<a@2 c<b@2"));
  assert.deepEqual(
    rows.map((row) => row.id),
    ["c", "b", "a"],
  );
});

test("no tree is too damaged", () => {
  for (const text of ["a<b@1 b<a@2", "a<a@1", "a<none@1", "a@1 a<a@2"]) {
    const rows = layOut(nodes(text));
    const ids = new Set(nodes(text).map((node) => node.id));
    assert.deepEqual(new Set(rows.map((row) => row.id)), ids, text);
    assert.equal(rows.at(-1).down, false, text);
  }
  assert.deepEqual(layOut([]), []);
});

test("a thousand in a chain, and a thousand branches, are laid out", () => {
  const chain = [];
  const fan = [{ id: "0", parent: null, time: 0 }];
  for (let n = 0; n < 1000; n += 1) {
    chain.push({ id: `${n}`, parent: n ? `${n - 1}` : null, time: n });
    if (n) fan.push({ id: `${n}`, parent: "0", time: n });
  }
  assert.equal(layOut(chain)[0].level, 1000);
  assert.equal(layOut(fan).at(-1).into.length, 999);
});
