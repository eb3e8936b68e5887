// SPDX-License-Identifier: Apache-2.0
/** Dialogs: one form each, which tells what it would do before it does it. */

import { copyOf, field, fill, listItems, make, onActions } from "./dom.js";
import { advice } from "./words.js";

const TYPING = 250;

/**
 * Open a dialog, and return it.
 *
 * *options* has title, and may have
 *   fields       the id of a template
 *   isGroup      which of its fields with data-for there are
 *   submit       the text of the button that does it; without it none does
 *   isDanger     whether that destroys something
 *   start(form)  what fills the fields
 *   preview(form) → sentences, asked for by a button of the fields, or at once
 *                and after each change where isLive is true
 *   isBlocked(form)  whether nothing can be done as it is; asked with preview
 *   accept(form) what the button does; the dialog stays open where it throws
 */
export function openDialog(options) {
  const dialog = copyOf("dialog").firstElementChild;
  const form = dialog.querySelector("form");
  const submit = field(form, "submit");
  fill(form, { title: options.title, submit: options.submit });
  submit.hidden = !options.submit;
  submit.className = options.isDanger ? "danger" : "first";
  if (!options.submit) fill(form, { close: "Close" });
  addFields(form, options);
  options.start?.(form);
  const tell = teller(form, options);
  onActions(form, { close: () => dialog.close(), preview: tell });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    accept(dialog, form, options);
  });
  if (options.isLive) {
    let timer;
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(tell, TYPING);
    });
    tell();
  }
  dialog.addEventListener("close", () => closed(dialog));
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Show why something was refused, in the place for it in *root*. */
export function showError(root, error) {
  const said = error.messages?.map(advice) ?? [error.message];
  field(root, "error").replaceChildren(
    ...said.map((textContent) => make("p", { textContent })),
  );
}

function addFields(form, { fields, isGroup }) {
  if (!fields) return;
  const copy = copyOf(`fields-${fields}`);
  const other = isGroup ? "system" : "group";
  for (const place of copy.querySelectorAll(`[data-for="${other}"]`)) {
    place.remove();
  }
  field(form, "fields").append(copy);
}

function teller(form, { preview, isBlocked }) {
  let asked = 0;
  return async () => {
    if (!preview) return;
    field(form, "submit").disabled = Boolean(isBlocked?.(form));
    asked += 1;
    const mine = asked;
    let said = [];
    let error = null;
    try {
      said = await preview(form);
    } catch (caught) {
      error = caught;
    }
    // An older answer may be the last to come.
    if (mine !== asked) return;
    listItems(field(form, "sentences"), said);
    field(form, "error").replaceChildren();
    if (error) showError(form, error);
  };
}

async function accept(dialog, form, options) {
  const submit = field(form, "submit");
  if (submit.disabled) return;
  submit.disabled = true;
  field(form, "error").replaceChildren();
  try {
    await options.accept(form);
    dialog.close();
  } catch (error) {
    submit.disabled = false;
    showError(form, error);
  }
}

function closed(dialog) {
  dialog.remove();
  // What had the focus before may be gone by now.
  if (document.activeElement === document.body) {
    document.querySelector("#view hawkfish-tree, #view h1")?.focus();
  }
}
