// SPDX-License-Identifier: Apache-2.0
/**
 * Server-sent events by fetch: EventSource can send no token.
 */

const MOST_CHARACTERS = 1 << 20;
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 30000;

/** Reads a stream of events from parts of it, cut anywhere. Pure. */
export class EventReader {
  #rest = "";
  #data = [];

  /** The id of the last event, to go on after; null before the first. */
  lastId = null;

  /** The data of each event that is complete with *part*. */
  push(part) {
    const text = this.#rest + part;
    // A return at the end may be half of a line's end.
    const whole = text.endsWith("\r") ? text.slice(0, -1) : text;
    const lines = whole.split(/\r\n|\n|\r/);
    this.#rest = lines.pop() + text.slice(whole.length);
    const held = this.#data.reduce((sum, line) => sum + line.length, 0);
    if (this.#rest.length + held > MOST_CHARACTERS) {
      throw new RangeError("An event is too long");
    }
    return lines.flatMap((line) => this.#take(line));
  }

  #take(line) {
    if (line === "") {
      const data = this.#data;
      this.#data = [];
      return data.length ? [data.join("\n")] : [];
    }
    const [, name, value] = /^([^:]*):? ?([^]*)$/.exec(line);
    if (name === "data") this.#data.push(value);
    if (name === "id" && !value.includes("\0")) this.lastId = value;
    return [];
  }
}

/**
 * One stream that is opened again whenever it ends.
 *
 * Dispatches "open" when it is there, "lost" when it is not, and "event" with
 * the data of an event, parsed, as its detail.
 */
export class EventStream extends EventTarget {
  #open;
  #wait;
  #stop = new AbortController();

  /**
   * *open* takes the id to go on after and a signal, and returns a Response;
   * *wait* a number of milliseconds and a signal.
   */
  constructor(open, wait = pause) {
    super();
    this.#open = open;
    this.#wait = wait;
  }

  stop() {
    this.#stop.abort();
  }

  /** Read until stopped; an error of kind "Unauthorized" ends it as well. */
  async run() {
    const { signal } = this.#stop;
    let lastId = null;
    let next = FIRST_PAUSE;
    while (!signal.aborted) {
      const reader = new EventReader();
      reader.lastId = lastId;
      try {
        const response = await this.#open(lastId, signal);
        next = FIRST_PAUSE;
        this.dispatchEvent(new Event("open"));
        await this.#read(response, reader);
      } catch (error) {
        if (signal.aborted || error.name === "Unauthorized") return;
      }
      lastId = reader.lastId;
      this.dispatchEvent(new Event("lost"));
      await this.#wait(next, signal);
      next = Math.min(2 * next, LONGEST_PAUSE);
    }
  }

  async #read(response, reader) {
    const text = response.body.pipeThrough(new TextDecoderStream());
    for (let parts = text.getReader(); ;) {
      const { done, value } = await parts.read();
      if (done) return;
      for (const data of reader.push(value)) this.#tell(data);
    }
  }

  #tell(data) {
    let detail;
    try {
      detail = JSON.parse(data);
    } catch {
      return;
    }
    this.dispatchEvent(Object.assign(new Event("event"), { detail }));
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
