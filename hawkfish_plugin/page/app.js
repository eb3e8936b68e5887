// SPDX-License-Identifier: Apache-2.0
/** The page as a whole: who is logged in, which part is shown, the stream. */

import "./details.js";
import "./systems.js";
import "./tree.js";
import "./system.js";
import "./group.js";
import { keep } from "./activity.js";
import { changes, notice, service, tasks } from "./context.js";
import { showError } from "./dialog.js";
import { copyOf, field, make } from "./dom.js";
import { snapshotsOf } from "./redfish.js";
import { EventStream } from "./sse.js";
import { isActive, subjectOf } from "./tasks.js";
import { advice } from "./words.js";

const TASK = /^\/redfish\/v1\/TaskService\/Tasks\/\d+$/;

const view = document.getElementById("view");
const systems = document.querySelector("hawkfish-systems");
let stream = null;

function hint(uri) {
  changes.dispatchEvent(new CustomEvent("hint", { detail: uri }));
}

// Pages ----------------------------------------------------------------------

const PAGES = {
  systems: (uuid) => {
    const page = document.createElement("hawkfish-system");
    page.uuid = uuid;
    return page;
  },
  groups: (group) => {
    const page = document.createElement("hawkfish-group");
    page.group = group;
    return page;
  },
  tasks: () => document.createElement("hawkfish-tasks"),
  events: () => document.createElement("hawkfish-events"),
};

function route() {
  const [, name, rest] = /^#\/(\w*)\/?(.*)$/.exec(location.hash) ?? [];
  const isPage = Object.hasOwn(PAGES, name ?? "");
  document.body.dataset.page = isPage ? name : "";
  document.title = "HawkFish";
  const id = isPage && name === "systems" ? decodeURIComponent(rest) : null;
  systems.shown = id;
  for (const link of document.querySelectorAll("nav a")) {
    const isHere = link.getAttribute("href") === `#/${isPage ? name : ""}`;
    if (isHere) link.ariaCurrent = "page";
    else link.removeAttribute("aria-current");
  }
  if (!isPage) {
    view.replaceChildren(make("p", {}, "Choose a system or a group."));
    return;
  }
  view.replaceChildren(PAGES[name](decodeURIComponent(rest)));
  view.querySelector("h1").focus({ preventScroll: true });
}

// Login ----------------------------------------------------------------------

function showLogin() {
  stream?.stop();
  stream = null;
  document.body.dataset.page = "login";
  document.getElementById("log-out").hidden = true;
  if (view.querySelector(".login")) return;
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  view.replaceChildren(copyOf("login"));
  const form = view.querySelector("form");
  const { user, password } = form.elements;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    field(form, "error").replaceChildren();
    try {
      await service.login(user.value, password.value);
      await start();
    } catch (error) {
      password.value = "";
      showError(form, error);
      password.focus();
    }
  });
  user.focus();
}

async function logOut() {
  await service.logout().catch(() => {});
  showLogin();
}

// Changes --------------------------------------------------------------------

async function take(event) {
  keep(event);
  const uri = event.OriginOfCondition?.["@odata.id"];
  if (!uri) return;
  if (!TASK.test(uri)) {
    hint(uri);
    return;
  }
  await tasks.read(uri).catch(() => {});
  const task = tasks.list.find((one) => one["@odata.id"] === uri);
  const subject = task && subjectOf(task);
  if (!subject) return;
  const { Snapshot } = task.Oem.HawkFish;
  const collection = snapshotsOf(subject);
  hint(
    Snapshot ? `${collection}/${encodeURIComponent(Snapshot)}` : collection,
  );
}

function ended({ detail: task }) {
  const subject = subjectOf(task);
  if (subject) hint(snapshotsOf(subject));
  if (!tasks.isOwn(task)) return;
  const failed = task.TaskState === "Exception";
  const said = task.Messages.map(advice).join(" ");
  notice(`${task.Name}: ${task.TaskState}. ${failed ? said : ""}`, failed);
}

function showActive() {
  const count = tasks.active.length;
  document.getElementById("active-tasks").textContent = count || "";
}

function follow() {
  stream = new EventStream((lastId, signal) => service.stream(lastId, signal));
  const status = document.getElementById("stream");
  const say = (text, state) => {
    status.textContent = text;
    status.dataset.state = state;
  };
  stream.addEventListener("open", () => {
    say("Live", "live");
    // What has happened until now, nobody has told.
    changes.dispatchEvent(new Event("all"));
  });
  stream.addEventListener("lost", () => {
    say("Not live: it is asked now and then", "lost");
    changes.dispatchEvent(new Event("all"));
  });
  stream.addEventListener("event", ({ detail }) => {
    for (const event of detail.Events ?? []) take(event);
  });
  stream.run();
}

async function start() {
  await systems.read();
  document.getElementById("log-out").hidden = !service.session;
  document.body.dataset.role = service.session?.role ?? "";
  follow();
  route();
  await tasks.readAll();
}

service.addEventListener("unauthorized", showLogin);
tasks.addEventListener("end", ended);
tasks.addEventListener("change", showActive);
changes.addEventListener("all", () => {
  if (tasks.active.some(isActive)) tasks.readAll().catch(() => {});
});
window.addEventListener("hashchange", () => {
  if (stream) route();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && stream) changes.dispatchEvent(new Event("all"));
});
document.getElementById("log-out").addEventListener("click", logOut);
start().catch((error) => {
  if (error.name !== "Unauthorized") notice(error.message, true);
});
