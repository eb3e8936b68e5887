// SPDX-License-Identifier: Apache-2.0
/** <hawkfish-details>: all that is known of a snapshot, and what to do. */

import { copyOf, field, fill, make, onActions } from "./dom.js";
import { ago, fromNow, moment, size } from "./formats.js";
import * as words from "./words.js";

/** Calls what *actions* has for each of its buttons. */
class Details extends HTMLElement {
  #actions = {};
  #shown = null;
  #task = null;

  connectedCallback() {
    if (this.firstChild) return;
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", "Details");
    this.append(copyOf("details"));
    const call = (name) => () => this.#actions[name]?.(this.#shown);
    onActions(this, {
      ...Object.fromEntries(
        ["revert", "edit", "lock", "export", "verify", "delete"].map(
          (name) => [name, call(name)],
        ),
      ),
      cancel: () => this.#actions.cancel?.(this.#task),
    });
  }

  set actions(actions) {
    this.#actions = actions;
    for (const name of ["export", "verify"]) {
      field(this, name).hidden = !actions[name];
    }
  }

  /** Show a snapshot or a place of a tree, and the task on it, if any. */
  show(one, task) {
    this.#shown = one;
    this.#task = task ?? null;
    this.hidden = !one;
    if (!one) return;
    const isPlace = one.on !== undefined;
    field(this, "snapshot-actions").hidden = isPlace;
    field(this, "task-actions").hidden = !task;
    fill(this, {
      name: one.Name,
      description: isPlace ? one.text : one.Description,
      lock: one.Locked ? "Unlock" : "Lock",
    });
    field(this, "lock").ariaPressed = String(Boolean(one.Locked));
    const facts = isPlace ? [] : factsOf(one, task);
    field(this, "facts").replaceChildren(
      ...facts.flatMap(([term, text]) => [
        make("dt", { textContent: term }),
        make("dd", { textContent: text }),
      ]),
    );
  }

  /** Let the first thing to do have the focus. */
  focus() {
    this.querySelector(".actions:not([hidden]) button")?.focus();
  }
}

function factsOf(one, task) {
  const now = Date.now();
  const expires = one.ExpiresTime;
  const links = one.Links;
  const known = [
    ["State", words.state(one, task?.PercentComplete)],
    ["Holds", words.kind(one)],
    ["Consistency", words.consistency(one)],
    ["Power state", one.PowerState && words.power(one.PowerState)],
    ["Quiesced", quiesced(one)],
    ["Size", size(one.SizeBytes)],
    ["Deleting frees", size(one.ExclusiveSizeBytes)],
    ["Created", `${moment(one.CreatedTime)} (${ago(one.CreatedTime, now)})`],
    [
      "Expires",
      expires ? `${moment(expires)} (${fromNow(expires, now)})` : "never",
    ],
    ["Locked", one.Locked ? "yes" : "no"],
    ["Verified", verified(one)],
    ["Parent", named(links.ParentSnapshot)],
    ["Branches", (links.ChildSnapshots ?? []).map(named).join(", ")],
    ["Referred to by", words.referrersOf(one).join(", ")],
    ["Group snapshots", (links.GroupSnapshots ?? []).map(grouped).join(", ")],
    ["Skew", milliseconds(one.SkewMilliseconds)],
    ["Pause", milliseconds(one.PauseMilliseconds)],
    ...(one.Systems ?? []).map((part) => [part.Name, partText(part)]),
    ...(one.Findings ?? []).map((found) => ["Finding", words.advice(found)]),
  ];
  return known.filter(([, text]) => text);
}

function quiesced(one) {
  const reason = one.QuiesceReason ? `: ${one.QuiesceReason}` : "";
  const status =
    one.QuiesceStatus === "NotNeeded" ? "not needed" : one.QuiesceStatus;
  return status && status + reason;
}

function verified(one) {
  if (!one.LastVerified) return "";
  const failed = one.Verification?.Checks.filter(
    ({ Result }) => Result === "Failed",
  ).map(({ Check, Detail }) => `${Check}: ${Detail}`);
  const result = [one.VerifyResult, ...(failed ?? [])].join(", ");
  return `${result}, ${moment(one.LastVerified)}`;
}

function named(link) {
  return link && words.lastPart(link["@odata.id"]);
}

function grouped(link) {
  const parts = link["@odata.id"].split("/");
  return `${decodeURIComponent(parts.at(-1))} of ${decodeURIComponent(parts.at(-5))}`;
}

function milliseconds(value) {
  return value === null || value === undefined ? "" : `${value} ms`;
}

function partText(part) {
  const here = part.Current ? ", is here" : "";
  const power = part.PowerState ? `, ${words.power(part.PowerState)}` : "";
  return part.SnapshotState + power + here;
}

customElements.define("hawkfish-details", Details);
