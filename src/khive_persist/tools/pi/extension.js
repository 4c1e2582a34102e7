// pi hands each of its events to this extension, which starts the hook with it. Nothing of it is
// waited for, and nothing of it fails where the hook does: pi goes on as if it were not there.
//
// CommonJS, as pi writes all other forms once more into the folder of temporary files: where there
// is no room for that it does not start at all.
const { spawn } = require("node:child_process");
const { randomBytes } = require("node:crypto");
const { closeSync, openSync, unlinkSync, writeSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");

const COMMAND = "@COMMAND@";
const EVENTS = ["@EVENTS@"];
// A hook gives up after two seconds.
const MOST_MILLISECONDS = 3000;
const STATE = Symbol.for("khive-persist.pi");

// One state for all copies of this file: of the user's and of the project's only one sends, and
// after a reload it is another one.
function shared() {
  const state = (globalThis[STATE] ??= { claimed: new WeakSet(), senders: new Set() });
  if (!state.listens) {
    state.listens = true;
    process.on("exit", () => {
      for (const sendAll of state.senders) sendAll();
    });
  }
  return state;
}

// A file without a name in place of a pipe: the hook reads all of it however soon pi ends.
function unnamedFile(payloads) {
  const path = join(tmpdir(), `khive-${randomBytes(12).toString("hex")}`);
  const file = openSync(path, "wx+", 0o600);
  try {
    unlinkSync(path);
    const bytes = Buffer.concat(payloads);
    for (let at = 0; at < bytes.length; ) {
      // With a position, which leaves the one that the hook reads from.
      at += writeSync(file, bytes, at, bytes.length - at, at);
    }
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

// One shell runs the hook for some events, one after the other, so that they stay in order. It
// holds its end of `stdio[4]` until it is done, and `before` is that of another one to wait for.
function run(script, { cwd, input, before, ended }) {
  const lines = ['cd "$1"', before ? "cat >/dev/null" : "", script];
  // As stdin: of the lower three alone a read waits.
  const stdio = [before ?? "ignore", "ignore", "ignore", input, "pipe"];
  const child = spawn("/bin/sh", ["-c", lines.join("\n"), "sh", cwd], { detached: true, stdio });
  child.on("error", ended);
  child.on("exit", ended);
  child.unref();
  child.stdio[4].on("error", () => {});
  child.stdio[4].unref?.();
  return child;
}

function start(events, before, ended) {
  const payloads = events.map(({ payload }) => payload);
  const { cwd } = events[0];
  const closed = "3<&- 4<&-";
  let file;
  try {
    file = unnamedFile(payloads);
  } catch {
    // No room for a file: each in a pipe, which has to take it before pi ends.
    let last;
    for (const payload of payloads) {
      const other = last?.stdio[4] ?? before;
      last = run(`(${COMMAND}) <&3 ${closed}`, { cwd, input: "pipe", before: other, ended });
      last.stdio[3].on("error", () => {});
      last.stdio[3].end(payload);
      last.stdio[3].unref?.();
    }
    return last;
  }
  try {
    const hooks = payloads.map(
      ({ length }) => `dd bs=${length} count=1 <&3 4<&- | (${COMMAND}) ${closed}`,
    );
    return run(hooks.join("\n"), { cwd, input: file, before, ended });
  } finally {
    closeSync(file);
  }
}

function sender() {
  const waiting = [];
  let isScheduled = false;
  let running = 0;
  let last;

  function next() {
    const { cwd } = waiting[0];
    const others = waiting.findIndex((event) => event.cwd !== cwd);
    const events = waiting.splice(0, others < 0 ? waiting.length : others);
    let isOver = false;
    const ended = () => {
      if (isOver) return;
      isOver = true;
      running -= 1;
      schedule();
    };
    const before = running > 0 ? last?.stdio[4] : undefined;
    running += 1;
    try {
      try {
        last = start(events, before, ended);
      } catch {
        // The other one has ended meanwhile, and its pipe is closed.
        last = start(events, undefined, ended);
      }
      setTimeout(ended, MOST_MILLISECONDS * events.length).unref();
    } catch {
      ended();
    }
  }

  function schedule() {
    if (isScheduled || running > 0 || waiting.length === 0) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      if (running === 0 && waiting.length > 0) next();
    });
  }

  return {
    add(event) {
      waiting.push(event);
      schedule();
    },
    sendAll() {
      while (waiting.length > 0) next();
    },
  };
}

// The conversation so far comes with each of these again; the transcript has it.
function withoutConversation(event) {
  if (event.type === "turn_end" && event.context !== undefined) {
    const { context, ...rest } = event;
    return { event: rest, omitted: { context: context?.messages?.length ?? null } };
  }
  if (event.type === "agent_end" && Array.isArray(event.messages)) {
    const messages = event.messages.slice(-1);
    return {
      event: { ...event, messages },
      omitted: { messages: event.messages.length - messages.length },
    };
  }
  return { event };
}

function payloadOf(event, ctx) {
  const manager = ctx.sessionManager;
  return JSON.stringify({
    hook_event_name: event.type,
    session_id: manager?.getSessionId?.(),
    transcript_path: manager?.getSessionFile?.(),
    cwd: ctx.cwd,
    model: ctx.model?.id,
    // Where a tool of another session has started this one.
    parent_session_id: event.type === "session_start" ? process.env.PI_SESSION_ID : undefined,
    ...withoutConversation(event),
  });
}

module.exports = function (pi) {
  let state;
  let events;
  try {
    state = shared();
    events = sender();
  } catch {
    return;
  }
  let isMine = false;

  function see(event, ctx) {
    try {
      if (event.type === "session_start") {
        isMine = !state.claimed.has(event);
        state.claimed.add(event);
        if (isMine) state.senders.add(events.sendAll);
      }
      if (!isMine) return;
      const payload = Buffer.from(payloadOf(event, ctx));
      events.add({ payload, cwd: String(ctx.cwd ?? process.cwd()) });
      if (event.type === "session_shutdown") {
        events.sendAll();
        state.senders.delete(events.sendAll);
      }
    } catch {
      // One event less is better than pi without its answer.
    }
  }

  for (const name of EVENTS) pi.on(name, (event, ctx) => see(event, ctx));
};
