// SPDX-License-Identifier: Apache-2.0
/**
 * Sizes, ages and spans as people read and write them: the same words as on
 * the command line.
 */

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const SPANS = { w: 604800, d: 86400, h: 3600, m: 60, s: 1 };
const SPOKEN = { w: "week", d: "day", h: "hour", m: "minute", s: "second" };
const UNKNOWN = "–";

/** A number of bytes in a readable unit; null is unknown. */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return UNKNOWN;
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < SIZES.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit ? value.toFixed(1) : value} ${SIZES[unit]}`;
}

/** The largest unit of SPANS in a number of seconds, and how many of it. */
function largest(seconds) {
  const left = Math.max(0, Math.floor(seconds));
  for (const [unit, length] of Object.entries(SPANS)) {
    if (left >= length) return [Math.floor(left / length), unit];
  }
  return [0, "s"];
}

/** A number and the word for what is counted: "1 system", "3 systems". */
export function counted(number, word) {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

/** How long ago a Redfish time was, as 3h; *now* is in milliseconds. */
export function ago(time, now) {
  return time ? largest((now - Date.parse(time)) / 1000).join("") : UNKNOWN;
}

/** How long a Redfish time is from *now*, in words: "in 3 hours". */
export function fromNow(time, now) {
  const seconds = (Date.parse(time) - now) / 1000;
  const [count, unit] = largest(Math.abs(seconds));
  const words = counted(count, SPOKEN[unit]);
  return seconds < 0 ? `${words} ago` : `in ${words}`;
}

/** A number of seconds in all its units, as 2d12h. */
export function span(seconds) {
  let left = seconds;
  let text = "";
  for (const [unit, length] of Object.entries(SPANS)) {
    const count = Math.floor(left / length);
    if (count) text += `${count}${unit}`;
    left -= count * length;
  }
  return text || "0s";
}

/** A Redfish time as the reader's clock and language have it. */
export function moment(time) {
  if (!time) return UNKNOWN;
  return new Date(time).toLocaleString(undefined, {
    dateStyle: "medium",
    timeStyle: "medium",
  });
}

/** The seconds of a span such as 7d or 2d12h, or of a number; else a throw. */
export function parseSpan(text) {
  const plain = text.replaceAll(/\s/g, "").toLowerCase();
  if (/^\d{1,12}$/.test(plain)) return Number(plain);
  if (!/^(\d{1,9}[smhdw])+$/.test(plain)) {
    throw new RangeError(`“${text}” is not a span such as 90m, 7d or 2d12h`);
  }
  return [...plain.matchAll(/(\d+)([smhdw])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * SPANS[unit],
    0,
  );
}

/** The bytes of a size such as 20G, 20 GiB or 1.5T; else a throw. */
export function parseSize(text) {
  const found = /^(\d{1,15}(?:\.\d+)?)\s*([KMGTP]?)(?:i?B)?$/i.exec(
    text.trim(),
  );
  if (!found) throw new RangeError(`“${text}” is not a size such as 20G`);
  const power = " KMGTP".indexOf(found[2].toUpperCase() || " ");
  return Math.round(Number(found[1]) * 1024 ** power);
}

/**
 * The Redfish time of a span from *now*, or of a time; null of nothing.
 * What is neither is a throw.
 */
export function parseWhen(text, now) {
  if (!text.trim()) return null;
  const isSpan = /^[\d\s]*\d\s*[smhdw]/i.test(text);
  const time = isSpan ? now + parseSpan(text) * 1000 : Date.parse(text);
  if (Number.isNaN(time)) {
    throw new RangeError(`“${text}” is neither a span such as 7d nor a time`);
  }
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}
