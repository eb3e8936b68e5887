// SPDX-License-Identifier: Apache-2.0
/** The event reader, and the stream that is opened again. */
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  EventReader,
  EventStream,
} from "../../../hawkfish_plugin/page/sse.js";

const TEXT = ': hawkfish\nid: 7\n\nid: 8\ndata: {"a":\ndata: 1}\n\ndata:x\n\n';

test("an event is the same wherever its text is cut", () => {
  for (let at = 0; at <= TEXT.length; at += 1) {
    const reader = new EventReader();
    const found = [
      ...reader.push(TEXT.slice(0, at)),
      ...reader.push(TEXT.slice(at)),
    ];
    assert.deepEqual(found, ['{"a":\n1}', "x"]);
    assert.equal(reader.lastId, "8");
  }
});

test("every end of a line is one", () => {
  for (const end of ["\r\n", "\r"]) {
    const reader = new EventReader();
    const found = [...TEXT.replaceAll("\n", end)].flatMap((character) =>
      reader.push(character),
    );
    // The last return alone may be followed by its other half.
    found.push(...reader.push("\n"));
    assert.deepEqual(found, ['{"a":\n1}', "x"]);
  }
});

test("an event without an end is not kept for ever", () => {
  const reader = new EventReader();
  const line = `data: ${"x".repeat(1 << 16)}\n`;
  assert.throws(() => {
    for (let n = 0; n < 32; n += 1) reader.push(line);
  }, RangeError);
  assert.throws(
    () => new EventReader().push("x".repeat((1 << 20) + 1)),
    RangeError,
  );
});

test("a stream goes on after the last event, and waits ever longer", async () => {
  const asked = [];
  const pauses = [];
  const answers = [
    () => new Response('id: 3\ndata: {"Id": "3"}\n\n'),
    () => Promise.reject(new Error("refused")),
    () => Promise.reject(new Error("refused")),
    () => new Response("data: no JSON\n\n"),
  ];
  const stream = new EventStream(
    async (lastId) => {
      asked.push(lastId);
      return answers.shift()();
    },
    async (milliseconds) => {
      pauses.push(milliseconds);
      if (!answers.length) stream.stop();
    },
  );
  const told = [];
  for (const type of ["open", "lost"]) {
    stream.addEventListener(type, () => told.push(type));
  }
  stream.addEventListener("event", ({ detail }) => told.push(detail.Id));

  await stream.run();

  assert.deepEqual(asked, [null, "3", "3", "3"]);
  assert.deepEqual(pauses, [1000, 2000, 4000, 1000]);
  assert.deepEqual(told, [
    "open",
    "3",
    "lost",
    "lost",
    "lost",
    "open",
    "lost",
  ]);
});

test("a stream that is not allowed ends", async () => {
  const stream = new EventStream(async () => {
    throw Object.assign(new Error("no"), { name: "Unauthorized" });
  });
  await stream.run();
});
