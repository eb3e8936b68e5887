// SPDX-License-Identifier: Apache-2.0
/**
 * The Redfish API, as the page asks it: nothing else is asked for anything.
 */

const ROOT = "/redfish/v1";
const SESSIONS = `${ROOT}/SessionService/Sessions`;
const STORED = "hawkfish-session";

export const SUMMARIES = `${ROOT}/Oem/HawkFish/SystemSummaries`;
export const AGGREGATES = `${ROOT}/AggregationService/Aggregates`;
export const TASKS = `${ROOT}/TaskService/Tasks`;
export const STREAM = `${ROOT}/EventService/SSE`;

/** The URI of a system of a UUID. */
export function systemUri(uuid) {
  return `${ROOT}/Systems/${encodeURIComponent(uuid)}`;
}

/** The URI of the snapshots of a system or of a group. */
export function snapshotsOf(uri) {
  return `${uri}/Oem/HawkFish/Snapshots`;
}

export function aggregateUri(name) {
  return `${AGGREGATES}/${encodeURIComponent(name)}`;
}

/** What the service refused: *messages* are those of its answer. */
export class RedfishError extends Error {
  name = "RedfishError";

  constructor(status, messages) {
    super(messages.map((one) => one.Message).join(" "));
    this.status = status;
    this.messages = messages;
  }
}

/** Nobody is logged in, and somebody has to be. */
export class Unauthorized extends Error {
  name = "Unauthorized";
}

/**
 * The service, and who is logged in to it in this tab.
 *
 * Dispatches "unauthorized" when a request needs a login.
 */
export class Service extends EventTarget {
  #storage;

  constructor(storage) {
    super();
    this.#storage = storage;
  }

  /** {token, uri, user, role} of the session; null without one. */
  get session() {
    return JSON.parse(this.#storage.getItem(STORED) ?? "null");
  }

  /** The resource at *uri*. */
  async get(uri) {
    return (await this.#ask("GET", uri)).json();
  }

  /** All members of a collection, in one request. */
  async members(uri) {
    return (await this.get(`${uri}?$expand=.`)).Members;
  }

  /** The body of the answer; null where it has none. */
  async send(method, uri, body, etag) {
    const answer = await this.#ask(method, uri, { body, etag });
    const text = await answer.text();
    return text ? JSON.parse(text) : null;
  }

  /** The answer that is a stream of events after *lastId*. */
  stream(lastId, signal) {
    const headers = lastId === null ? {} : { "Last-Event-ID": lastId };
    return this.#ask("GET", STREAM, { headers, signal });
  }

  /** What is at *uri*, whatever it is. */
  async fetchFile(uri) {
    return (await this.#ask("GET", uri)).blob();
  }

  async login(user, password) {
    const body = { UserName: user, Password: password };
    const answer = await this.#ask("POST", SESSIONS, { body, isLogin: true });
    const token = answer.headers.get("X-Auth-Token");
    const uri = answer.headers.get("Location");
    const [role] = (await answer.json()).Roles ?? [];
    this.#storage.setItem(STORED, JSON.stringify({ token, uri, user, role }));
  }

  async logout() {
    const { session } = this;
    try {
      if (session) await this.#ask("DELETE", session.uri);
    } finally {
      this.#storage.removeItem(STORED);
    }
  }

  async #ask(method, uri, { body, etag, headers, signal, isLogin } = {}) {
    const { session } = this;
    const answer = await fetch(uri, {
      method,
      signal,
      // Without it a browser would ask for a password by itself.
      credentials: "omit",
      cache: "no-store",
      headers: {
        Accept: "*/*",
        ...headers,
        ...(session && { "X-Auth-Token": session.token }),
        ...(etag && { "If-Match": etag }),
        ...(body && { "Content-Type": "application/json" }),
      },
      body: body && JSON.stringify(body),
    });
    if (answer.ok) return answer;
    if (answer.status === 401 && !isLogin) {
      this.#storage.removeItem(STORED);
      this.dispatchEvent(new Event("unauthorized"));
      throw new Unauthorized("Please log in.");
    }
    throw new RedfishError(answer.status, await messagesOf(answer));
  }
}

async function messagesOf(answer) {
  const said = `The service answers ${answer.status} ${answer.statusText}.`;
  try {
    const { error } = await answer.json();
    const found = error["@Message.ExtendedInfo"] ?? [];
    return found.length ? found : [{ Message: error.message ?? said }];
  } catch {
    return [{ Message: said }];
  }
}
