// SPDX-License-Identifier: Apache-2.0
/** <hawkfish-system>: the page of a system. */

import * as actions from "./actions.js";
import { openBackups } from "./backups.js";
import { service } from "./context.js";
import { field, fill, make } from "./dom.js";
import { counted } from "./formats.js";
import { openExports, openPolicy } from "./policy.js";
import { SUMMARIES, snapshotsOf, systemUri } from "./redfish.js";
import { Subject } from "./subject.js";
import * as words from "./words.js";

class System extends Subject {
  template = "system";
  #uuid;
  #summary = null;

  /** Of which system, by its UUID; to be set before it is shown. */
  set uuid(uuid) {
    this.#uuid = uuid;
  }

  get subject() {
    const name = this.#summary?.Name ?? "the system";
    return { uri: systemUri(this.#uuid), name, isGroup: false };
  }

  get buttons() {
    return {
      create: () => actions.create(this.subject),
      policy: () => actions.attempt(() => openPolicy(this.subject)),
      backups: () => actions.attempt(() => openBackups(this.subject)),
      exports: () => actions.attempt(() => openExports(this.subject)),
      purge: () => {
        const locked = this.snapshots.filter((one) => one.Locked).length;
        actions.purge(this.subject, this.snapshots.length, locked);
      },
    };
  }

  get detailActions() {
    const { exportSnapshot, verify } = actions;
    return { ...super.detailActions, export: exportSnapshot, verify };
  }

  async readAll() {
    const { uri } = this.subject;
    [this.#summary, this.snapshots] = await Promise.all([
      service.get(`${SUMMARIES}/${encodeURIComponent(this.#uuid)}`),
      service.members(snapshotsOf(uri)),
    ]);
  }

  places() {
    const power = words.power(this.#summary.PowerState);
    const current = this.snapshots.find((one) => one.Current);
    return [
      {
        id: "here",
        Name: "The system is here",
        on: current?.["@odata.id"] ?? null,
        text: current
          ? `What it has written since “${current.Name}”. It is ${power}.`
          : `It stands on no snapshot. It is ${power}.`,
      },
    ];
  }

  show() {
    super.show();
    const summary = this.#summary;
    const { Aggregates } = summary.Links;
    const count = this.snapshots.length;
    this.tree.ariaLabel = `Snapshots of ${summary.Name}`;
    document.title = `${summary.Name} – HawkFish`;
    fill(this, {
      name: summary.Name,
      summary: `${words.power(summary.PowerState)}, ${counted(count, "snapshot")}`,
    });
    const links = Aggregates.map((link) => {
      const name = words.lastPart(link["@odata.id"]);
      const href = `#/groups/${encodeURIComponent(name)}`;
      return make("a", { href, textContent: name });
    });
    const place = field(this, "groups");
    if (place.children.length === links.length) return;
    place.replaceChildren(
      ...(links.length
        ? [links.length === 1 ? "In the group " : "In the groups "]
        : []),
      ...links.flatMap((link, index) => (index ? [", ", link] : [link])),
    );
  }
}

customElements.define("hawkfish-system", System);
