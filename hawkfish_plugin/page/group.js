// SPDX-License-Identifier: Apache-2.0
/** <hawkfish-group>: the page of a group, with all its members. */

import * as actions from "./actions.js";
import { service, tasks } from "./context.js";
import { copyOf, field, fill } from "./dom.js";
import { counted } from "./formats.js";
import { aggregateUri, snapshotsOf, SUMMARIES } from "./redfish.js";
import { Subject } from "./subject.js";
import * as words from "./words.js";

class Group extends Subject {
  template = "group";
  #name;
  #members = [];
  #missing = [];
  #columns = new Map();

  /** Of which group; to be set before it is shown. */
  set group(name) {
    this.#name = name;
  }

  get subject() {
    return { uri: aggregateUri(this.#name), name: this.#name, isGroup: true };
  }

  get buttons() {
    return { create: () => actions.create(this.subject) };
  }

  async readAll() {
    const { uri } = this.subject;
    const [aggregate, snapshots] = await Promise.all([
      service.get(uri),
      service.members(snapshotsOf(uri)),
    ]);
    const all = aggregate.Oem.HawkFish.Systems;
    const there = all.filter((one) => one.Present);
    this.#missing = all.filter((one) => !one.Present).map((one) => one.Name);
    this.#members = await Promise.all(there.map(readMember));
    this.snapshots = snapshots;
  }

  /** Where the members stand: one place, if all stand on one snapshot. */
  places() {
    const standing = new Map();
    for (const { Name, UUID } of this.#members) {
      const on = this.snapshots.find((one) =>
        one.Systems.some((part) => part.UUID === UUID && part.Current),
      );
      const uri = on?.["@odata.id"] ?? null;
      standing.set(uri, [...(standing.get(uri) ?? []), Name]);
    }
    return [...standing].map(([on, names]) => ({
      id: `here ${on}`,
      on,
      Name:
        names.length === this.#members.length
          ? "All systems are here"
          : `Here: ${names.join(", ")}`,
      text: `${words.quoted(names)}, with what they have written since.`,
    }));
  }

  show() {
    super.show();
    document.title = `${this.#name} – HawkFish`;
    const missing = this.#missing.length
      ? `; ${this.#missing.join(", ")} no longer there`
      : "";
    fill(this, {
      name: this.#name,
      summary:
        `${counted(this.#members.length, "system")}, ` +
        counted(this.snapshots.length, "group snapshot") +
        missing,
    });
    const place = field(this, "members");
    const columns = this.#members.map((member) => this.#column(member));
    const isSame = columns.every((one, n) => one === place.children[n]);
    if (!isSame || columns.length !== place.children.length) {
      place.replaceChildren(...columns);
    }
    this.#members.forEach((member) => this.#fill(member));
  }

  refresh() {
    super.refresh();
    for (const column of this.#columns.values()) {
      column.querySelector("hawkfish-tree").refresh();
    }
  }

  #column(member) {
    if (!this.#columns.has(member.UUID)) {
      this.#columns.set(member.UUID, copyOf("member").firstElementChild);
    }
    return this.#columns.get(member.UUID);
  }

  #fill(member) {
    const column = this.#columns.get(member.UUID);
    const { Name, UUID, PowerState, snapshots, uri } = member;
    fill(column, {
      name: Name,
      summary: `${words.power(PowerState)}, ${counted(snapshots.length, "snapshot")}`,
    });
    field(column, "name").href = `#/systems/${UUID}`;
    const current = snapshots.find((one) => one.Current);
    const on = current?.["@odata.id"] ?? null;
    const tree = column.querySelector("hawkfish-tree");
    tree.ariaLabel = `Snapshots of ${Name}`;
    tree.show(
      snapshots,
      [{ id: "here", Name: "It is here", on }],
      (one) => tasks.on(uri, one.Name)?.PercentComplete,
    );
  }
}

async function readMember({ Name, UUID, System }) {
  const uri = System["@odata.id"];
  const [{ PowerState }, snapshots] = await Promise.all([
    service.get(`${SUMMARIES}/${encodeURIComponent(UUID)}`),
    service.members(snapshotsOf(uri)),
  ]);
  return { Name, UUID, PowerState, snapshots, uri };
}

customElements.define("hawkfish-group", Group);
