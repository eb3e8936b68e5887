// SPDX-License-Identifier: Apache-2.0
/** <hawkfish-tree>: the snapshots of a system, or of a group, as a tree. */

import { copyOf, fill } from "./dom.js";
import { ago, size } from "./formats.js";
import { layOut } from "./lanes.js";
import { Windowed } from "./windowed.js";
import * as words from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const LANE = 14;
const ROW = 40;
const MOST_LANES = 12;
const COLOURS = 6;
const TYPED_TOGETHER = 700;

const x = (lane) => Math.min(lane, MOST_LANES - 1) * LANE + LANE / 2 + 2;

/**
 * Dispatches "select", with a snapshot or a place as its detail, when another
 * row is active; "enter" when its details are wanted; "remove" for Delete.
 */
class Tree extends HTMLElement {
  #list;
  #data = new Map();
  #width = 1;
  #progress = () => undefined;
  #typed = "";
  #typedAt = 0;

  connectedCallback() {
    if (this.#list) return;
    this.setAttribute("role", "tree");
    this.#list = new Windowed(this, {
      create: () => copyOf("tree-row").firstElementChild,
      update: (element, row) => this.#update(element, row),
      key: (row) => row.id,
      activated: () => this.#tell("select"),
      pressed: (event, row) => this.#pressed(event, row),
    });
    this.addEventListener("dblclick", () => this.#tell("enter"));
  }

  /**
   * Show *snapshots*, and *places*, which are {id, Name, on}: who stands on
   * the snapshot with the URI *on*. *progress* gives the percentage of what is
   * being done with a snapshot, or undefined.
   */
  show(snapshots, places, progress) {
    this.#progress = progress;
    this.#data = new Map([
      ...snapshots.map((one) => [one["@odata.id"], one]),
      ...places.map((place) => [place.id, place]),
    ]);
    const nodes = [
      ...snapshots.map((one) => ({
        id: one["@odata.id"],
        parent: one.Links.ParentSnapshot?.["@odata.id"] ?? null,
        time: one.CreatedTime ? Date.parse(one.CreatedTime) : Date.now(),
      })),
      ...places.map(({ id, on }) => ({ id, parent: on, time: Infinity })),
    ];
    const rows = layOut(nodes);
    const widths = rows.flatMap((row) => [row.column, ...row.through]);
    this.#width = Math.min(
      widths.reduce((most, lane) => Math.max(most, lane), 0) + 1,
      MOST_LANES,
    );
    this.#list.rows = rows;
  }

  /** The snapshot or place that is active; undefined of none. */
  get selected() {
    return this.#data.get(this.#list.active?.id);
  }

  /** Make the snapshot with this URI the active one. */
  select(uri) {
    this.#list.activate(uri);
  }

  focus() {
    this.#list.focus();
  }

  refresh() {
    this.#list.refresh();
  }

  #tell(type) {
    const { selected: detail } = this;
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #update(element, row) {
    const one = this.#data.get(row.id);
    const isPlace = one.on !== undefined;
    element.classList.toggle("here", isPlace);
    element.ariaLevel = row.level;
    element.ariaPosInSet = row.position;
    element.ariaSetSize = row.siblings;
    draw(element.querySelector("svg"), row, this.#width, isPlace);
    if (isPlace) this.#updatePlace(element, one);
    else this.#updateSnapshot(element, one);
  }

  #updatePlace(element, place) {
    const on = this.#data.get(place.on)?.Name;
    fill(element, {
      name: place.Name,
      state: "",
      marks: "",
      kind: "",
      size: "",
      age: "now",
    });
    element.ariaLabel = on ? `${place.Name}, on ${on}` : place.Name;
    element.dataset.state = "Here";
  }

  #updateSnapshot(element, one) {
    const now = Date.now();
    const percent = this.#progress(one);
    const state = words.state(one, percent);
    const marks = [one.Locked && "locked", one.ExpiresTime && "expires"];
    fill(element, {
      name: one.Name,
      state: state === "Ready" ? "" : state,
      marks: marks.filter(Boolean).join(" "),
      kind: words.kind(one) || one.Consistency,
      size: size(one.SizeBytes),
      age: ago(one.CreatedTime, now),
    });
    element.dataset.state = one.SnapshotState;
    const parent = one.Links.ParentSnapshot;
    const grown = parent && words.lastPart(parent["@odata.id"]);
    element.ariaLabel = words.label(one, grown, percent, now);
  }

  #pressed(event, row) {
    const { key } = event;
    if (key === "Enter" || key === " ") this.#tell("enter");
    else if (key === "Delete") this.#tell("remove");
    else if (key === "ArrowLeft") this.#move(row.parent);
    else if (key === "ArrowRight") this.#move(this.#child(row));
    else if (key.length === 1) this.#type(key, event.timeStamp);
    else return false;
    return true;
  }

  #move(id) {
    if (!id) return;
    this.#list.activate(id);
    this.#list.focus();
  }

  #child(row) {
    return this.#list.rows.find((other) => other.parent === row.id)?.id;
  }

  /** Go to the next row whose name begins with what has been typed. */
  #type(key, time) {
    const isMore = time - this.#typedAt < TYPED_TOGETHER;
    this.#typed = (isMore ? this.#typed : "") + key.toLowerCase();
    this.#typedAt = time;
    const rows = this.#list.rows;
    const at = rows.indexOf(this.#list.active) + (isMore ? 0 : 1);
    const found = [...rows.slice(at), ...rows.slice(0, at)].find((row) =>
      this.#data.get(row.id).Name.toLowerCase().startsWith(this.#typed),
    );
    this.#move(found?.id);
  }
}

function draw(svg, row, width, isPlace) {
  svg.setAttribute("width", width * LANE + 4);
  svg.setAttribute("height", ROW);
  const own = x(row.column);
  const middle = ROW / 2;
  const lines = row.through.map((lane) => line(lane, `M${x(lane)} 0V${ROW}`));
  for (const lane of row.into) {
    const from = x(lane);
    const path =
      from === own
        ? `M${own} 0V${middle}`
        : `M${from} 0C${from} ${middle} ${own} 4 ${own} ${middle}`;
    lines.push(line(lane, path));
  }
  if (row.down) lines.push(line(row.column, `M${own} ${middle}V${ROW}`));
  const dot = document.createElementNS(SVG, "circle");
  dot.setAttribute("cx", own);
  dot.setAttribute("cy", middle);
  dot.setAttribute("r", isPlace ? 6 : 4.5);
  dot.setAttribute("class", `dot lane-${row.column % COLOURS}`);
  svg.replaceChildren(...lines, dot);
}

function line(lane, path) {
  const made = document.createElementNS(SVG, "path");
  made.setAttribute("d", path);
  made.setAttribute("class", `lane-${lane % COLOURS}`);
  return made;
}

customElements.define("hawkfish-tree", Tree);
