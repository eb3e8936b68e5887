// SPDX-License-Identifier: Apache-2.0
/** <hawkfish-tasks> and <hawkfish-events>: what is done, and what happened. */

import { attempt, cancel } from "./actions.js";
import { tasks } from "./context.js";
import { copyOf, field, fill, make } from "./dom.js";
import { ago, moment } from "./formats.js";
import { isActive, subjectOf } from "./tasks.js";
import { advice, lastPart } from "./words.js";

const MOST_EVENTS = 500;
const AGES = 30000;

const happened = [];
const listeners = new EventTarget();

/** Keep an event of the service, as far as there is room. */
export function keep(event) {
  happened.unshift(event);
  happened.length = Math.min(happened.length, MOST_EVENTS);
  listeners.dispatchEvent(new Event("kept"));
}

/** Who a system is called, by its UUID; set by who has read them. */
export const names = new Map();

class TaskList extends HTMLElement {
  #items = new Map();
  #stop = new AbortController();

  connectedCallback() {
    const { signal } = this.#stop;
    this.append(copyOf("tasks"));
    tasks.addEventListener("change", () => this.#show(), { signal });
    const timer = setInterval(() => this.#show(), AGES);
    signal.addEventListener("abort", () => clearInterval(timer));
    this.#show();
    attempt(() => tasks.readAll());
  }

  disconnectedCallback() {
    this.#stop.abort();
  }

  #show() {
    const list = field(this, "list");
    const shown = tasks.list.map((task) => this.#item(task));
    for (const item of [...list.children]) {
      if (!shown.includes(item)) item.remove();
    }
    // Whatever is in its place already keeps its focus.
    shown.forEach((item, index) => {
      if (list.children[index] !== item) {
        list.insertBefore(item, list.children[index] ?? null);
      }
    });
  }

  #item(task) {
    let item = this.#items.get(task.Id);
    if (!item) {
      item = copyOf("task").firstElementChild;
      this.#items.set(task.Id, item);
      const { Id } = task;
      field(item, "cancel").addEventListener("click", () => {
        cancel(tasks.list.find((one) => one.Id === Id));
      });
    }
    const subject = subjectOf(task);
    const last = subject && lastPart(subject);
    const told = task.Messages.map(advice).join(" ");
    fill(item, {
      name: task.Name,
      where: names.get(last) ?? last,
      state: task.TaskState,
      age: ago(task.EndTime ?? task.StartTime, Date.now()),
      messages: told,
    });
    item.dataset.state = task.TaskState;
    field(item, "progress").value = task.PercentComplete;
    field(item, "progress").ariaLabel = `Progress of ${task.Name}`;
    field(item, "progress").hidden = !isActive(task);
    field(item, "cancel").hidden = !isActive(task);
    field(item, "cancel").ariaLabel = `Cancel ${task.Name}`;
    return item;
  }
}

class EventList extends HTMLElement {
  #stop = new AbortController();
  #seen = null;

  connectedCallback() {
    const { signal } = this.#stop;
    this.append(copyOf("events"));
    listeners.addEventListener("kept", () => this.#show(), { signal });
    this.#show();
  }

  disconnectedCallback() {
    this.#stop.abort();
  }

  #show() {
    const list = field(this, "list");
    const place = happened.indexOf(this.#seen);
    const fresh = place < 0 ? happened : happened.slice(0, place);
    this.#seen = happened[0] ?? null;
    list.prepend(...fresh.map(eventItem));
    while (list.children.length > MOST_EVENTS) list.lastChild.remove();
  }
}

function eventItem(event) {
  const item = make(
    "li",
    {},
    make("time", { textContent: moment(event.EventTimestamp) }),
    make("span", { textContent: event.MessageId, className: "id" }),
    make("span", { textContent: event.Message }),
  );
  item.dataset.severity = event.MessageSeverity;
  return item;
}

customElements.define("hawkfish-tasks", TaskList);
customElements.define("hawkfish-events", EventList);
