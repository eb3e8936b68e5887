// SPDX-License-Identifier: Apache-2.0
/** <hawkfish-systems>: all systems and groups, to choose one of. */

import { names } from "./activity.js";
import { changes, onChanges, service } from "./context.js";
import { copyOf, field, fill, make, Reread } from "./dom.js";
import { counted } from "./formats.js";
import { AGGREGATES, SUMMARIES } from "./redfish.js";
import { lastPart, power } from "./words.js";
import { Windowed } from "./windowed.js";

// Nobody tells of power states, so they are asked for: this often, and at most
// for a twentieth of the time.
const POLL = 30000;
const REST = 20;
// What is worth showing before all have been read.
const FIRST = 60;
const TOGETHER = 200;
// More than this are read at once.
const FEW = 4;
const OF_SYSTEM = /^\/redfish\/v1\/Systems\/([^/]+)/;

class Systems extends HTMLElement {
  #list;
  #all = [];
  #count = 0;
  #shown = null;
  #timer;
  #changed = new Set();
  #reread = new Reread(() => this.#read());

  connectedCallback() {
    this.append(copyOf("systems"));
    this.#list = new Windowed(field(this, "list"), {
      create: () => copyOf("system-row").firstElementChild,
      update: (element, system) => this.#update(element, system),
      key: (system) => system.UUID,
      pressed: (event, system) =>
        (event.key === "Enter" || event.key === " ") && open(system),
    });
    field(this, "list").addEventListener("click", (event) => {
      if (event.target.closest("[data-key]")) open(this.#list.active);
    });
    field(this, "filter").addEventListener("input", () => this.#filter());
    onChanges(
      (uri) => this.#hinted(uri),
      () => this.#safely(),
    );
    this.#poll(POLL);
  }

  /** Read who is there; a failure is the caller's. */
  read() {
    return this.#reread.now();
  }

  /** Mark the system that is shown. */
  set shown(uuid) {
    this.#shown = uuid;
    this.#list?.activate(uuid);
    this.#list?.refresh();
  }

  focusList() {
    this.#list.focus();
  }

  async #safely() {
    // Who reads what is shown tells that the service does not answer.
    await this.#reread.now().catch(() => {});
  }

  #hinted(uri) {
    const uuid = OF_SYSTEM.exec(uri)?.[1];
    if (!uuid) return;
    this.#changed.add(uuid);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#readChanged(), TOGETHER);
  }

  async #readChanged() {
    const uuids = [...this.#changed];
    this.#changed.clear();
    if (uuids.length > FEW) {
      await this.#safely();
      return;
    }
    const read = uuids.map((uuid) => service.get(`${SUMMARIES}/${uuid}`));
    const found = await Promise.allSettled(read);
    const fresh = new Map(found.map(({ value }) => [value?.UUID, value]));
    this.#all = this.#all.map((system) => fresh.get(system.UUID) ?? system);
    this.#filter();
  }

  #poll(pause) {
    setTimeout(async () => {
      const begin = performance.now();
      if (!document.hidden) {
        changes.dispatchEvent(new Event("all"));
        await this.#safely();
      }
      this.#poll(Math.max(POLL, REST * (performance.now() - begin)));
    }, pause);
  }

  async #read() {
    const isFirst = !this.#all.length;
    const query = isFirst ? `$expand=.&$top=${FIRST}` : "$expand=.";
    const [groups, systems] = await Promise.all([
      service.members(AGGREGATES),
      service.get(`${SUMMARIES}?${query}`),
    ]);
    const count = systems["Members@odata.count"];
    this.#take(systems.Members, count);
    this.#showGroups(groups);
    if (systems.Members.length < count) {
      this.#take(await service.members(SUMMARIES));
    }
  }

  #take(systems, count = systems.length) {
    this.#all = systems;
    this.#count = count;
    for (const { UUID, Name } of systems) names.set(UUID, Name);
    this.#filter();
    if (this.#shown) this.#list.activate(this.#shown);
  }

  #filter() {
    const wanted = field(this, "filter").value.trim().toLowerCase();
    const found = this.#all.filter(
      (system) =>
        system.Name.toLowerCase().includes(wanted) ||
        system.UUID.startsWith(wanted),
    );
    this.#list.rows = found;
    const count = counted(this.#count, "system");
    const text = wanted ? `${found.length} of ${count}` : count;
    fill(this, { count: text });
  }

  #update(element, system) {
    const { CurrentSnapshot } = system.Links;
    const current = CurrentSnapshot && lastPart(CurrentSnapshot["@odata.id"]);
    const count = system.SnapshotCount;
    fill(element, {
      name: system.Name,
      power: power(system.PowerState),
      current,
      count,
    });
    element.dataset.power = system.PowerState;
    element.ariaLabel =
      `${system.Name}, ${power(system.PowerState)}, ` +
      counted(count, "snapshot") +
      (current ? `, on ${current}` : "");
    if (system.UUID === this.#shown) element.ariaCurrent = "page";
    else element.removeAttribute("aria-current");
  }

  #showGroups(groups) {
    field(this, "groups").hidden = !groups.length;
    const list = field(this, "group-list");
    const hadFocus = list.contains(document.activeElement);
    if (hadFocus) return;
    list.replaceChildren(
      ...groups.map((group) => {
        const link = make("a", {
          href: `#/groups/${encodeURIComponent(group.Name)}`,
          textContent: group.Name,
        });
        return make(
          "li",
          {},
          link,
          ` ${counted(group.ElementsCount, "system")}`,
        );
      }),
    );
  }
}

function open(system) {
  location.hash = `#/systems/${system.UUID}`;
  return true;
}

customElements.define("hawkfish-systems", Systems);
