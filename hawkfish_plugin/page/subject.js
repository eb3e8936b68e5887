// SPDX-License-Identifier: Apache-2.0
/** What the page of a system and that of a group have in common. */

import * as actions from "./actions.js";
import { onChanges, service, tasks } from "./context.js";
import { showError } from "./dialog.js";
import { copyOf, field, onActions, Reread } from "./dom.js";
import { merged } from "./merge.js";
import { snapshotsOf } from "./redfish.js";

const AGES = 30000;
// Fewer than this are read again at once; of more, the one that has changed.
const FEW = 100;
const QUIET = 1000;

/**
 * A tree of snapshots, and the details of the one that is active in it.
 *
 * Of a subclass: template, subject, readAll(), places() and buttons.
 */
export class Subject extends HTMLElement {
  snapshots = [];
  #stop = new AbortController();
  #reread = new Reread(() => this.#read());
  #later;
  #tasks = "";

  connectedCallback() {
    const { signal } = this.#stop;
    this.append(copyOf(this.template));
    this.tree = this.querySelector("hawkfish-tree");
    this.details = this.querySelector("hawkfish-details");
    this.details.actions = this.detailActions;
    const { tree, details } = this;
    tree.ariaLabel = `Snapshots of ${this.subject.name}`;
    tree.addEventListener("select", () => this.#showDetails());
    tree.addEventListener("enter", () => details.focus());
    tree.addEventListener("remove", ({ detail }) => {
      if (detail && detail.on === undefined) this.detailActions.delete(detail);
    });
    onActions(this.querySelector("header"), this.buttons);
    onChanges(
      (uri) => this.#hinted(uri),
      () => this.reread(),
      signal,
    );
    tasks.addEventListener("change", () => this.#progressed(), { signal });
    const timer = setInterval(() => this.refresh(), AGES);
    signal.addEventListener("abort", () => {
      clearInterval(timer);
      clearTimeout(this.#later);
    });
    this.reread();
  }

  disconnectedCallback() {
    this.#stop.abort();
  }

  get detailActions() {
    return {
      revert: actions.revert,
      edit: actions.edit,
      lock: actions.toggleLock,
      delete: actions.remove,
      cancel: actions.cancel,
    };
  }

  reread() {
    return this.#reread.now();
  }

  /** Draw again what tells ages and progress. */
  refresh() {
    this.tree.refresh();
    this.#showDetails();
  }

  /** Show what has been read. */
  show() {
    this.tree.show(
      this.snapshots,
      this.places(),
      (one) => this.taskOn(one)?.PercentComplete,
    );
    this.#showDetails();
  }

  /** The active task on a snapshot. */
  taskOn(one) {
    return tasks.on(this.subject.uri, one.Name);
  }

  #showDetails() {
    const { selected } = this.tree;
    this.details.show(selected, selected && this.taskOn(selected));
  }

  async #read() {
    clearTimeout(this.#later);
    try {
      await this.readAll();
      if (this.#stop.signal.aborted) return;
      field(this, "error").replaceChildren();
      this.show();
    } catch (error) {
      if (error.name !== "Unauthorized") showError(this, error);
    }
  }

  async #hinted(uri) {
    const collection = snapshotsOf(this.subject.uri);
    if (!`${uri}/`.startsWith(`${collection}/`)) return;
    if (uri === collection || this.snapshots.length < FEW) {
      this.reread();
      return;
    }
    await this.#readOne(uri);
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.reread(), QUIET);
  }

  async #readOne(uri) {
    try {
      const one = await service.get(uri).catch((error) => {
        if (error.status === 404) return null;
        throw error;
      });
      this.snapshots = merged(this.snapshots, uri, one);
      this.show();
    } catch {
      // All are read again in any case.
    }
  }

  #progressed() {
    const { uri } = this.subject;
    const active = this.snapshots
      .map((one) => tasks.on(uri, one.Name))
      .filter(Boolean);
    const told = active.map((t) => `${t.Id} ${t.PercentComplete}`).join();
    if (told === this.#tasks) return;
    this.#tasks = told;
    this.refresh();
  }
}
