// SPDX-License-Identifier: Apache-2.0
/**
 * Elements made of templates and filled with text: never with markup, as
 * whoever may create a snapshot chooses its name.
 */

/** A copy of the template with this id. */
export function copyOf(id) {
  return document.getElementById(id).content.cloneNode(true);
}

/** The element in *root* that holds the field *name*. */
export function field(root, name) {
  return root.querySelector(`[data-field="${name}"]`);
}

/** Put *texts* into the fields of *root* of these names. */
export function fill(root, texts) {
  for (const [name, text] of Object.entries(texts)) {
    const place = field(root, name);
    const wanted = text ?? "";
    if (place.textContent !== String(wanted)) place.textContent = wanted;
  }
}

/** An element with properties and children, which are elements or text. */
export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

/** Let *list* have an item for each of *texts*. */
export function listItems(list, texts) {
  list.replaceChildren(
    ...texts.map((text) => make("li", { textContent: text })),
  );
}

/** Let *root* call *actions* for its buttons with data-action. */
export function onActions(root, actions) {
  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-action]");
    if (button && root.contains(button)) actions[button.dataset.action]?.();
  });
}

/**
 * Reads again when told to, one read at a time; who tells while one is under
 * way gets another one, so the last change is never missed.
 */
export class Reread {
  #read;
  #running = null;
  #again = false;

  constructor(read) {
    this.#read = read;
  }

  now() {
    if (this.#running) this.#again = true;
    else this.#running = this.#run();
    return this.#running;
  }

  async #run() {
    try {
      do {
        this.#again = false;
        await this.#read();
      } while (this.#again);
    } finally {
      this.#running = null;
    }
  }
}
