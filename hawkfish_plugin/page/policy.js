// SPDX-License-Identifier: Apache-2.0
/** The retention policy of a system, and the exports of its snapshots. */

import { attempt, previewOf } from "./actions.js";
import { notice, service } from "./context.js";
import { openDialog, showError } from "./dialog.js";
import { copyOf, field, fill, make } from "./dom.js";
import * as formats from "./formats.js";
import * as words from "./words.js";

// What is fetched with a token is held in memory before it is saved.
const MOST_IN_MEMORY = 2 ** 29;

/** Show and change the policy of *subject*. */
export async function openPolicy(subject) {
  const uri = `${subject.uri}/Oem/HawkFish/SnapshotPolicy`;
  const policy = await service.get(uri);
  openDialog({
    title: `Policy of ${subject.name}`,
    fields: "policy",
    submit: "Save",
    start: (form) => show(form, policy),
    preview: async () =>
      words.createSentences(
        await service.send("POST", previewOf(subject), {}),
      ),
    accept: (form) =>
      service.send("PATCH", uri, limits(form), policy["@odata.etag"]),
  });
}

function show(form, policy) {
  const { count, age, size } = form.elements;
  count.value = policy.MaxSnapshots || "";
  age.value = policy.MaxAgeSeconds ? formats.span(policy.MaxAgeSeconds) : "";
  size.value = policy.MaxBytes ? formats.size(policy.MaxBytes) : "";
  const choices = policy["OnLimit@Redfish.AllowableValues"];
  const select = form.elements["on-limit"];
  select.append(...choices.map((value) => make("option", { value }, value)));
  select.value = policy.OnLimit;
  form.elements.verified.checked = policy.KeepNewestVerified;
  const { SnapshotCount, SizeBytes } = policy.Usage;
  fill(form, {
    usage: `In use: ${formats.counted(SnapshotCount, "snapshot")}, ${formats.size(SizeBytes)}.`,
  });
}

function limits(form) {
  const { count, age, size } = form.elements;
  const number = (text, parse) => (text.trim() ? parse(text) : 0);
  return {
    MaxSnapshots: number(count.value, parseCount),
    MaxAgeSeconds: number(age.value, formats.parseSpan),
    MaxBytes: number(size.value, formats.parseSize),
    OnLimit: form.elements["on-limit"].value,
    KeepNewestVerified: form.elements.verified.checked,
  };
}

function parseCount(text) {
  if (!/^\s*\d{1,9}\s*$/.test(text)) {
    throw new RangeError(`“${text}” is not a number of snapshots`);
  }
  return Number(text);
}

/** Show the exports of *subject*, to download or delete. */
export async function openExports(subject) {
  const uri = `${subject.uri}/Oem/HawkFish/Exports`;
  const found = await service.members(uri);
  openDialog({
    title: `Exports of ${subject.name}`,
    fields: "exports",
    start: (form) => {
      const items = found.map((one) => item(form, one));
      if (!found.length) items.push(make("li", {}, "There are none."));
      field(form, "exports").append(...items);
    },
  });
}

function item(form, one) {
  const made = copyOf("export").firstElementChild;
  const until = formats.moment(one.ExpiresTime);
  fill(made, {
    name: one.Name,
    facts: `${formats.size(one.SizeBytes)}, until ${until}`,
  });
  const link = field(made, "link");
  link.href = one.DataURI;
  if (service.session) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      attempt(() => save(one));
    });
  }
  field(made, "delete").addEventListener("click", async () => {
    try {
      await service.send("DELETE", one["@odata.id"]);
      made.replaceChildren("Deleted.");
      field(form, "close").focus();
    } catch (error) {
      showError(form, error);
    }
  });
  return made;
}

/** Save a bundle whose download needs the token, which a link cannot send. */
async function save(one) {
  if (one.SizeBytes > MOST_IN_MEMORY) {
    notice(
      "It is too large for a browser that has to log in: use " +
        "“hawkfish snapshot export”.",
      true,
    );
    return;
  }
  const url = URL.createObjectURL(await service.fetchFile(one.DataURI));
  make("a", { href: url, download: `${one.SnapshotName}.tar` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}
