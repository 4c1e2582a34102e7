// Hands the events of a session to the khive-persist hook. What runs here runs in the client's own
// process: nothing in it may throw, print, or wait for anybody.
import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { closeSync, existsSync, openSync, unlinkSync, writeSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { basename, isAbsolute, join } from "node:path"

const COMMAND = "@COMMAND@"
// A shell names files by one digit: 3 to 9 are the payloads that it hands on, one after another.
const FIRST_FILE = 3
const MOST_FILES = 7
const MOST_RUNNING = 8
// So long the next shell waits for the one before it, so that events are recorded in their order.
const IN_TURN_MS = 100
const MOST_WAITING = 1000
const MOST_WAITING_BYTES = 64 << 20
const MOST_REMEMBERED = 1000
const MOST_PARENTS = 16

const EVENTS = new Set([
  "session.created", "session.deleted", "session.idle", "session.error", "session.compacted",
  "permission.asked", "permission.updated", "permission.replied", "question.asked",
  "question.replied", "question.rejected", "todo.updated",
])

// A client loads every copy of this file that it finds, and hands the same objects to each: the
// first copy that sees one sends it.
const SEEN = Symbol.for("khive-persist.seen")
const seen = (globalThis[SEEN] ??= new WeakMap())

function isNew(name, subject) {
  if (seen.get(subject) === name) return false
  seen.set(subject, name)
  return true
}

// The latest of what was noted, so that a client that runs for weeks holds no more.
class Memory extends Map {
  note(key, value) {
    this.delete(key)
    this.set(key, value)
    if (this.size > MOST_REMEMBERED) this.delete(this.keys().next().value)
  }
}

// Kilo is a fork of OpenCode, and tells its children that they run in OpenCode, too.
function clientName() {
  const isKilo =
    process.env.KILO_PID === String(process.pid) || basename(process.execPath).startsWith("kilo")
  return isKilo ? "kilo" : "opencode"
}

function databasePath(client) {
  const data = process.env.XDG_DATA_HOME || join(homedir(), ".local", "share")
  const named = process.env[client === "kilo" ? "KILO_DB" : "OPENCODE_DB"]
  if (named === ":memory:") return ""
  const folder = join(data, client)
  if (named) return isAbsolute(named) ? named : join(folder, named)
  return join(folder, `${client}.db`)
}

// A file without a name: the hook reads it whole, whatever becomes of this process meanwhile.
function unnamedFile(bytes) {
  const path = join(tmpdir(), `khive-persist-${randomUUID()}`)
  const file = openSync(path, "wx+", 0o600)
  try {
    unlinkSync(path)
    let end = 0
    while (end < bytes.length) end += writeSync(file, bytes, end, bytes.length - end, end)
    return file
  } catch (error) {
    closeSync(file)
    throw error
  }
}

class Sender {
  constructor(directory) {
    this.directory = directory
    this.waiting = []
    this.bytes = 0
    this.running = 0
    this.isLate = false
    this.dropped = 0
  }

  send(bytes) {
    const isLarge = this.bytes + bytes.length > MOST_WAITING_BYTES
    if (this.waiting.length > 0 && (isLarge || this.waiting.length >= MOST_WAITING)) {
      this.dropped += 1
      return
    }
    this.waiting.push(bytes)
    this.bytes += bytes.length
    this.next()
  }

  next() {
    while (this.waiting.length > 0) {
      if (this.running > 0 && !(this.isLate && this.running < MOST_RUNNING)) return
      this.start()
    }
  }

  // What waits when the client ends is started at once: nobody would start it later.
  flush() {
    while (this.waiting.length > 0) this.start()
  }

  take() {
    const bytes = this.waiting.shift()
    this.bytes -= bytes.length
    return bytes
  }

  start() {
    const files = []
    let piped = null
    while (this.waiting.length > 0 && files.length < MOST_FILES) {
      const bytes = this.take()
      try {
        files.push(unnamedFile(bytes))
      } catch {
        // No room for a file: through a pipe it comes as far as this process lives.
        if (files.length === 0) {
          piped = bytes
        } else {
          this.waiting.unshift(bytes)
          this.bytes += bytes.length
        }
        break
      }
    }
    try {
      this.run(files, piped)
    } catch {
      // There is no shell, or no process to be had: the client goes on without being recorded.
    }
    for (const file of files) closeSync(file)
  }

  run(files, piped) {
    const digits = files.map((_, number) => FIRST_FILE + number)
    const closed = digits.map((digit) => `${digit}<&-`).join(" ")
    const script = digits.map((digit) => `(${COMMAND}) <&${digit} ${closed}`).join("\n")
    const child = spawn("/bin/sh", ["-c", piped ? COMMAND : script], {
      cwd: existsSync(this.directory) ? this.directory : homedir(),
      detached: true,
      stdio: [piped ? "pipe" : "ignore", "ignore", "ignore", ...files],
    })
    this.running += 1
    this.isLate = false
    const timer = setTimeout(() => {
      this.isLate = true
      this.next()
    }, IN_TURN_MS)
    timer.unref()
    let hasEnded = false
    const end = () => {
      if (hasEnded) return
      hasEnded = true
      this.running -= 1
      this.next()
    }
    child.on("error", end)
    child.on("exit", end)
    if (piped) {
      child.stdin.on("error", () => {})
      child.stdin.end(piped)
    }
    child.unref()
  }
}

class Recorder {
  constructor(directory) {
    this.client = clientName()
    this.directory = directory
    this.database = databasePath(this.client)
    this.sender = new Sender(directory)
    this.sequence = 0
    this.parents = new Memory()
    this.titles = new Memory()
    this.ended = new Memory()
  }

  send(name, session, fields) {
    const head = { hook_event_name: name, client: this.client, ...this.sessionFields(session) }
    head.cwd = this.directory
    head.timestamp = Date.now()
    head.sequence = this.sequence += 1
    if (this.sender.dropped > 0) head.dropped = this.sender.dropped
    let text
    try {
      text = JSON.stringify({ ...head, ...fields })
    } catch (error) {
      text = JSON.stringify({ ...head, unserialised: String(error) })
    }
    const before = this.sender.dropped
    this.sender.send(Buffer.from(text))
    if (this.sender.dropped === before) this.sender.dropped = 0
  }

  // A subagent has a session of its own: it is recorded as an agent of the one that began.
  sessionFields(session) {
    if (typeof session !== "string") return {}
    let root = session
    for (let step = 0; step < MOST_PARENTS && this.parents.has(root); step += 1) {
      root = this.parents.get(root)
    }
    const fields = { session_id: root }
    if (root !== session) fields.agent_id = session
    if (this.database) fields.transcript_path = join(this.database, session)
    return fields
  }

  event(event) {
    const properties = event?.properties
    if (!properties || typeof properties !== "object" || !isNew(event.type, properties)) return
    const { info, part, sessionID } = properties
    const session = sessionID ?? info?.sessionID ?? part?.sessionID ?? info?.id
    if (event.type.startsWith("session.") && info?.parentID) {
      this.parents.note(info.id, info.parentID)
    }
    if (event.type === "session.created") this.isNews("session.updated", properties)
    if (event.type === "message.part.updated") this.part(event, part, session)
    else if (EVENTS.has(event.type) || this.isNews(event.type, properties)) {
      this.send(event.type, session, { event })
    }
  }

  // What is told again and again is sent where it says something that was not said before.
  isNews(type, { info, status }) {
    if (type === "session.updated") {
      const facts = [info.title, info.revert?.messageID, info.share?.url, info.time?.archived]
      const told = JSON.stringify(facts)
      const before = this.titles.get(info.id)
      this.titles.note(info.id, told)
      return before !== undefined && before !== told
    }
    if (type === "session.status") return status?.type === "retry"
    if (type !== "message.updated" || info?.role !== "assistant") return false
    return Boolean(info.time?.completed) && this.isFirst(info.id)
  }

  isFirst(id) {
    const isFirst = !this.ended.has(id)
    this.ended.note(id, true)
    return isFirst
  }

  // No hook is called after a call that failed or was refused.
  part(event, part, session) {
    if (part?.type !== "tool" || part.state?.status !== "error" || !this.isFirst(part.id)) return
    this.send(event.type, session, {
      tool_name: part.tool,
      tool_use_id: part.callID,
      tool_input: part.state.input,
      error: part.state.error,
      event,
    })
  }

  hook(name, input, output) {
    if (!input || typeof input !== "object" || !isNew(name, input)) return
    const { sessionID, tool, callID, args, ...others } = input
    if (!name.startsWith("tool.")) {
      this.send(name, sessionID, { ...prompt(name, output), input, output })
      return
    }
    const { args: changed, ...response } = name === "tool.execute.before" ? output : {}
    const fields = { tool_name: tool, tool_use_id: callID, tool_input: changed ?? args }
    if (name === "tool.execute.after") fields.tool_response = output
    else if (Object.keys(response).length > 0) fields.output = response
    if (Object.keys(others).length > 0) fields.input = others
    this.send(name, sessionID, fields)
  }
}

// The words of the user among the parts of a prompt, beside what the client adds.
function prompt(name, output) {
  const parts = name === "chat.message" && Array.isArray(output?.parts) ? output.parts : []
  const typed = parts.filter((part) => part?.type === "text" && !part.synthetic && part.text)
  return typed.length > 0 ? { prompt: typed.map((part) => part.text).join("\n") } : {}
}

const recorders = new Set()
process.on("exit", () => {
  for (const recorder of recorders) safely(() => recorder.sender.flush())
})

function safely(act) {
  try {
    act()
  } catch {
    // An event is lost, and the client goes on.
  }
}

export const KhivePersist = async ({ directory }) => {
  let recorder
  safely(() => {
    recorder = new Recorder(directory)
    recorders.add(recorder)
  })
  if (!recorder) return {}
  const hook = (name) => async (input, output) => safely(() => recorder.hook(name, input, output))
  return {
    event: async (input) => safely(() => recorder.event(input.event)),
    "chat.message": hook("chat.message"),
    "command.execute.before": hook("command.execute.before"),
    "tool.execute.before": hook("tool.execute.before"),
    "tool.execute.after": hook("tool.execute.after"),
    "experimental.session.compacting": hook("experimental.session.compacting"),
    dispose: async () => {
      safely(() => recorder.sender.flush())
      recorders.delete(recorder)
    },
  }
}
