// SPDX-License-Identifier: Apache-2.0
/**
 * What every part of the page shares: the service, and what is known to have
 * changed.
 */

import { Service } from "./redfish.js";
import { Tasks } from "./tasks.js";

export const service = new Service(sessionStorage);

/**
 * Tells what is worth reading again: "hint" with the URI of a resource as its
 * detail, and "all" where anything may have changed.
 */
export const changes = new EventTarget();

export const tasks = new Tasks(service);

/** Call *hinted* with each URI that has changed, and *all*, while *signal*. */
export function onChanges(hinted, all, signal) {
  changes.addEventListener("hint", ({ detail }) => hinted(detail), { signal });
  changes.addEventListener("all", () => all(), { signal });
}

/** Tell the reader something that they may not be looking at. */
export function notice(text, isError = false) {
  const place = document.getElementById("notices");
  const told = document.createElement("p");
  told.textContent = text;
  told.className = isError ? "notice error" : "notice";
  if (isError) told.setAttribute("role", "alert");
  place.prepend(told);
  while (place.children.length > 4) place.lastChild.remove();
  setTimeout(() => told.remove(), isError ? 30000 : 6000);
}
