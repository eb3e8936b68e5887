// SPDX-License-Identifier: Apache-2.0
/**
 * A long list of rows of one height, of which only those in sight are there.
 *
 * Owns the keyboard in it: one row is active, has the tabindex, and moves with
 * the arrow keys, Home, End and the page keys. The active row is there even
 * where it is out of sight, so that the focus is never lost.
 */

const SPARE = 8;

export class Windowed {
  #box;
  #space;
  #options;
  #rows = [];
  #places = new Map();
  #shown = new Map();
  #active = null;
  #height = 0;

  /**
   * *box* scrolls. *options* has create() → element, update(element, row),
   * key(row) → text; and may have activated(row), when another is active, and
   * pressed(event, row), which returns true for a key that it has handled.
   * *inner* is who has the rows as children, *box* by default.
   */
  constructor(box, options) {
    this.#box = box;
    this.#options = options;
    this.#space = document.createElement("div");
    this.#space.className = "space";
    this.#space.setAttribute("role", "presentation");
    box.append(this.#space);
    box.addEventListener("scroll", () => this.#draw(), { passive: true });
    box.addEventListener("keydown", (event) => this.#pressed(event));
    box.addEventListener("focusin", (event) => this.#focused(event));
    box.addEventListener("click", (event) => this.#focused(event));
    new ResizeObserver(() => this.#draw()).observe(box);
  }

  get rows() {
    return this.#rows;
  }

  set rows(rows) {
    this.#rows = rows;
    const { key } = this.#options;
    this.#places = new Map(rows.map((row, index) => [key(row), index]));
    if (!this.#places.has(this.#active)) {
      const hadFocus = this.#space.contains(document.activeElement);
      this.#active = rows.length ? key(rows[0]) : null;
      this.#draw();
      if (hadFocus) this.focus();
      if (rows.length) this.#options.activated?.(rows[0]);
    } else {
      this.#draw();
    }
  }

  /** The row that is active; undefined of none. */
  get active() {
    return this.#rows[this.#places.get(this.#active)];
  }

  /** Make the row of a key active, and show it. */
  activate(key) {
    if (!this.#places.has(key)) return;
    const isNew = key !== this.#active;
    this.#active = key;
    this.#reveal();
    this.#draw();
    if (isNew) this.#options.activated?.(this.active);
  }

  /** Let the active row have the focus. */
  focus() {
    this.#shown.get(this.#active)?.focus({ preventScroll: true });
  }

  /** Draw all rows again, as their texts tell ages. */
  refresh() {
    for (const element of this.#shown.values()) element.row = null;
    this.#draw();
  }

  #measure() {
    const style = getComputedStyle(this.#box);
    this.#height = Number.parseFloat(style.getPropertyValue("--row")) || 36;
  }

  #reveal() {
    const top = this.#places.get(this.#active) * this.#height;
    const box = this.#box;
    if (top < box.scrollTop) box.scrollTop = top;
    const most = top + this.#height - box.clientHeight;
    if (most > box.scrollTop) box.scrollTop = most;
  }

  #draw() {
    this.#measure();
    const height = `${this.#rows.length * this.#height}px`;
    if (this.#space.style.height !== height) this.#space.style.height = height;
    const keys = this.#wanted();
    for (const [key, element] of this.#shown) {
      if (keys.has(key)) continue;
      element.remove();
      this.#shown.delete(key);
    }
    let next = this.#space.firstChild;
    for (const [key, index] of keys) {
      const element = this.#element(key, index);
      next = this.#place(element, next);
    }
  }

  /** The indexes of the rows to show, in order, by their keys. */
  #wanted() {
    const { clientHeight, scrollTop } = this.#box;
    const first = Math.floor(scrollTop / this.#height) - SPARE;
    const last = Math.ceil((scrollTop + clientHeight) / this.#height) + SPARE;
    const indexes = new Set();
    const active = this.#places.get(this.#active);
    for (let n = Math.max(0, first); n < last && n < this.#rows.length; n++) {
      indexes.add(n);
    }
    if (active !== undefined) indexes.add(active);
    const sorted = [...indexes].sort((a, b) => a - b);
    const { key } = this.#options;
    return new Map(sorted.map((index) => [key(this.#rows[index]), index]));
  }

  #element(key, index) {
    let element = this.#shown.get(key);
    if (!element) {
      element = this.#options.create();
      element.dataset.key = key;
      this.#shown.set(key, element);
    }
    const row = this.#rows[index];
    if (element.row !== row) {
      this.#options.update(element, row);
      element.row = row;
    }
    element.style.transform = `translateY(${index * this.#height}px)`;
    const isActive = key === this.#active;
    element.tabIndex = isActive ? 0 : -1;
    element.ariaSelected = String(isActive);
    return element;
  }

  /** Put *element* before *next*; returns what comes after it. */
  #place(element, next) {
    if (element === next) return next.nextSibling;
    if (element.isConnected && element.contains(document.activeElement)) {
      // To move it would take its focus: the others go out of its way.
      while (next && next !== element) {
        const gone = next;
        next = next.nextSibling;
        gone.remove();
      }
      return element.nextSibling;
    }
    this.#space.insertBefore(element, next);
    return next;
  }

  #focused(event) {
    const element = event.target.closest("[data-key]");
    if (element && this.#box.contains(element)) {
      this.activate(element.dataset.key);
    }
  }

  #pressed(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !this.active) return;
    if (this.#options.pressed?.(event, this.active)) {
      event.preventDefault();
      return;
    }
    const page = Math.floor(this.#box.clientHeight / this.#height) || 1;
    const steps = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const wanted = this.#places.get(this.#active) + step;
    const index = Math.min(Math.max(wanted, 0), this.#rows.length - 1);
    this.activate(this.#options.key(this.#rows[index]));
    this.focus();
  }
}
