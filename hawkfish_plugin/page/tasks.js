// SPDX-License-Identifier: Apache-2.0
/** The tasks of the service, as far as they are worth showing. */

import { TASKS } from "./redfish.js";

const MOST = 100;
const POLL = 500;
const MOST_POLLED = 8;
const ENDED = ["Completed", "Exception", "Cancelled"];

export function isActive(task) {
  return !ENDED.includes(task.TaskState);
}

/** The URI of the system, or of the group, that a task is about. */
export function subjectOf(task) {
  const { System, Aggregate } = task.Oem.HawkFish;
  return (Aggregate ?? System)?.["@odata.id"] ?? null;
}

/**
 * Dispatches "change" when a task has changed, and "end", with the task as its
 * detail, when one has ended that was active.
 *
 * Events tell when a task begins and ends; how far it is, nobody tells, so the
 * active ones are asked.
 */
export class Tasks extends EventTarget {
  #service;
  #all = new Map();
  #timer = null;
  #own = new Set();

  constructor(service) {
    super();
    this.#service = service;
  }

  /** All of them: the active ones first, and of each kind the newest. */
  get list() {
    return [...this.#all.values()].sort(
      (a, b) => isActive(b) - isActive(a) || b.Id - a.Id,
    );
  }

  get active() {
    return [...this.#all.values()].filter(isActive);
  }

  /** The active task on a snapshot of a system or a group, by its URI. */
  on(uri, name) {
    return this.active.find(
      (task) => subjectOf(task) === uri && task.Oem.HawkFish.Snapshot === name,
    );
  }

  /** Whether the operation was asked for here. */
  isOwn(task) {
    return this.#own.has(task.Id);
  }

  /** Follow what has been accepted; *body* is that of the answer. */
  async follow(body) {
    this.#own.add(body.Id);
    await this.read(`${TASKS}/${body.Id}`);
  }

  async readAll() {
    const count = (await this.#service.get(`${TASKS}?$top=0`))[
      "Members@odata.count"
    ];
    const query = `$expand=.&$skip=${Math.max(0, count - MOST)}`;
    const { Members } = await this.#service.get(`${TASKS}?${query}`);
    const active = this.active.filter(
      (task) => !Members.some((one) => one.Id === task.Id),
    );
    await Promise.all(active.map((task) => this.read(task["@odata.id"])));
    Members.forEach((task) => this.#take(task));
    this.#changed();
  }

  /** Read the task at *uri*; one that is gone is forgotten. */
  async read(uri) {
    try {
      this.#take(await this.#service.get(uri));
    } catch (error) {
      if (error.status !== 404) throw error;
      this.#all.delete(uri.slice(uri.lastIndexOf("/") + 1));
    }
    this.#changed();
  }

  async cancel(task) {
    await this.#service.send("DELETE", task["@odata.id"]);
    await this.read(task["@odata.id"]);
  }

  #take(task) {
    if (!task.Oem?.HawkFish) return;
    const before = this.#all.get(task.Id);
    if (before && !isActive(before) && isActive(task)) return;
    this.#all.set(task.Id, task);
    const began = before ? isActive(before) : this.#own.has(task.Id);
    if (began && !isActive(task)) {
      this.dispatchEvent(new CustomEvent("end", { detail: task }));
    }
  }

  #changed() {
    const ended = this.list.filter((task) => !isActive(task)).slice(MOST);
    for (const task of ended) this.#all.delete(task.Id);
    this.dispatchEvent(new Event("change"));
    if (this.#timer === null && this.active.length) {
      this.#timer = setTimeout(() => this.#poll(), POLL);
    }
  }

  async #poll() {
    const polled = this.active.slice(0, MOST_POLLED);
    await Promise.allSettled(
      polled.map((task) => this.read(task["@odata.id"])),
    );
    this.#timer = null;
    if (this.active.length) this.#changed();
  }
}
