// SPDX-License-Identifier: Apache-2.0
/** Sizes, ages and spans are those of the command line. */
import assert from "node:assert/strict";
import { test } from "node:test";

import * as formats from "../../../hawkfish_plugin/page/formats.js";

const NOW = Date.parse("2026-11-28T12:00:00Z");

test("sizes are in the largest unit that leaves a whole one", () => {
  const said = [0, 1023, 1024, 1536, 65536, 5 * 1024 ** 3, 1024 ** 6];
  assert.deepEqual(said.map(formats.size), [
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.5 KiB",
    "64.0 KiB",
    "5.0 GiB",
    "1024.0 PiB",
  ]);
  assert.equal(formats.size(null), "–");
});

test("ages are in one unit, and none is negative", () => {
  const of = (seconds) =>
    formats.ago(new Date(NOW - seconds * 1000).toISOString(), NOW);
  assert.deepEqual([0, 59, 60, 7200, 86400, 15 * 86400, -60].map(of), [
    "0s",
    "59s",
    "1m",
    "2h",
    "1d",
    "2w",
    "0s",
  ]);
  assert.equal(formats.ago(null, NOW), "–");
});

test("what is to come is told from what has been", () => {
  assert.equal(formats.fromNow("2026-11-28T13:00:00Z", NOW), "in 1 hour");
  assert.equal(formats.fromNow("2026-11-28T11:58:00Z", NOW), "2 minutes ago");
});

test("spans are read as they are written", () => {
  for (const seconds of [1, 90, 5400, 216000, 604800 + 86400]) {
    assert.equal(formats.parseSpan(formats.span(seconds)), seconds);
  }
  assert.equal(formats.parseSpan("2d 12h"), 216000);
  assert.equal(formats.parseSpan("60"), 60);
  for (const text of ["", "d", "2x", "-1d", "1.5d"]) {
    assert.throws(() => formats.parseSpan(text), RangeError, text);
  }
});

test("sizes are read as people write them", () => {
  const read = { 20: 20, "20G": 20 * 2 ** 30, "1.5 GiB": 1.5 * 2 ** 30 };
  for (const [text, bytes] of Object.entries(read)) {
    assert.equal(formats.parseSize(text), bytes);
  }
  assert.equal(formats.parseSize("20gb"), 20 * 2 ** 30);
  for (const text of ["", "G", "-1", "20X", "1e9"]) {
    assert.throws(() => formats.parseSize(text), RangeError, text);
  }
});

test("an expiry is a span, a time or nothing", () => {
  assert.equal(formats.parseWhen("7d", NOW), "2026-12-05T12:00:00Z");
  assert.equal(
    formats.parseWhen("2030-01-31T12:00:00+01:00", NOW),
    "2030-01-31T11:00:00Z",
  );
  assert.equal(formats.parseWhen("  ", NOW), null);
  assert.throws(() => formats.parseWhen("soon", NOW), RangeError);
  assert.throws(() => formats.parseWhen("7days", NOW), RangeError);
});
