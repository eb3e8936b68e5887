// SPDX-License-Identifier: Apache-2.0
/** The backups of a system: to make one, verify it, delete it. */

import { service, tasks } from "./context.js";
import { openDialog, showError } from "./dialog.js";
import { copyOf, field, fill, make } from "./dom.js";
import { moment, size } from "./formats.js";

/** Show the backups of *subject*, and make another one. */
export async function openBackups(subject) {
  const uri = `${subject.uri}/Oem/HawkFish/Backups`;
  const found = await service.get(`${uri}?$expand=.`);
  const { Usable, Finding } = found.Repository;
  openDialog({
    title: `Backups of ${subject.name}`,
    fields: "backups",
    submit: Usable ? "Create a backup" : undefined,
    start: (form) => {
      fill(form, { finding: Finding });
      const items = found.Members.map((one) => item(form, one));
      if (!items.length) items.push(make("li", {}, "There are none."));
      field(form, "backups").append(...items);
    },
    accept: async () => {
      await tasks.follow(await service.send("POST", uri, {}));
    },
  });
}

function item(form, one) {
  const made = copyOf("backup").firstElementChild;
  const { VerifyResult, LastVerified } = one;
  fill(made, {
    name: `${one.BackupType}, ${moment(one.CreatedTime)}`,
    facts: size(one.SizeBytes),
    verified: VerifyResult
      ? `verified ${moment(LastVerified)}: ${VerifyResult}`
      : "not verified",
    finding: one.VerifyFinding,
  });
  const ask = (method, uri, said) => async () => {
    try {
      await tasks.follow(await service.send(method, uri));
      made.replaceChildren(said);
      field(form, "close").focus();
    } catch (error) {
      showError(form, error);
    }
  };
  const { target } = one.Actions["#HawkFishBackup.Verify"];
  const press = (name, action) =>
    field(made, name).addEventListener("click", action);
  press("verify", ask("POST", target, "It is being verified."));
  press("delete", ask("DELETE", one["@odata.id"], "It is being deleted."));
  return made;
}
