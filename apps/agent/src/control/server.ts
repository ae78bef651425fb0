/**
 * The control socket: one JSON object a line, each way.
 *
 * A request is `{"request": "status", ...}`; answers are any number of `{"progress": ...}` and `{"item": ...}`, then one
 * `{"result": ...}` or `{"error": {code, kind, message, details}}`. A connection carries one request after the other. Who
 * asks is what the kernel says of the peer, and nothing the request says. What is malformed is answered, never fatal.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { CodedError } from '@holdfast/base';
import type { AgentParts } from '../agent.ts';
import { type Caller, callerOf } from '../browse/caller.ts';
import { peerOf } from '../filesystem/index.ts';
import { controlErrors } from './errors.ts';
import { answerRequest } from './requests.ts';
import { withSocketPath } from './socket-path.ts';
import { cannotListenAfter, prepareSocketPlace } from './socket-place.ts';

/** Of one user, and of all but those whom the agent belongs to; theirs are counted apart, or anybody could lock them out. */
const mostPerUser = 16;
const mostConnections = 64;
const mostLineBytes = 1024 * 1024;
const idleMs = 300_000;
/** How long one who is not heard has to read so. */
const refusedMs = 1000;

/** The listening end. */
export class ControlServer {
  readonly #server: Server;
  readonly #socketPath: string;
  readonly #sockets = new Set<Socket>();
  /** Of those, whoever is heard. */
  readonly #callers = new Map<Socket, Caller>();

  private constructor(server: Server, socketPath: string) {
    this.#server = server;
    this.#socketPath = socketPath;
  }

  /** Listens; a socket left by an agent that was killed is replaced: the state's lock says that none runs. @throws control.cannot_listen */
  static async listen(
    parts: AgentParts,
    { socketPath, socketMode }: { readonly socketPath: string; readonly socketMode: number },
  ): Promise<ControlServer> {
    prepareSocketPlace(socketPath, socketMode);
    const server = createServer();
    const control = new ControlServer(server, socketPath);
    server.on('connection', (socket) => control.#serve(socket, parts));
    // Nobody may connect before the mode is what it is to be.
    const before = process.umask(0o177);
    try {
      await withSocketPath(
        socketPath,
        (reachable) =>
          new Promise<void>((resolve, reject) => {
            server.once('error', reject);
            server.listen(reachable, () => resolve());
          }),
      );
    } catch (error) {
      throw cannotListenAfter(socketPath, error);
    } finally {
      process.umask(before);
    }
    chmodSync(socketPath, socketMode);
    return control;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    rmSync(this.#socketPath, { force: true });
  }

  #serve(socket: Socket, parts: AgentParts): void {
    const caller = callerAt(socket);
    if (!caller) return void socket.destroy();
    this.#sockets.add(socket);
    const left = new AbortController();
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#callers.delete(socket);
      left.abort();
    });
    socket.on('error', () => socket.destroy());
    const isHeard = !this.#isCrowdedFor(caller);
    socket.setTimeout(isHeard ? idleMs : refusedMs, () => socket.destroy());
    if (!isHeard) return refuse(socket, controlErrors.busy());
    this.#callers.set(socket, caller);
    answerLines(socket, parts, { caller, left: left.signal }).catch((error: unknown) => {
      // A peer that leaves in the middle of a line ends the reading with an error.
      if (socket.destroyed) return;
      parts.log.error('a request failed', asDeclared(error), error);
      socket.destroy();
    });
  }

  #isCrowdedFor({ uid, isPrivileged }: Caller): boolean {
    const alike = [...this.#callers.values()].filter((other) => other.isPrivileged === isPrivileged);
    if (alike.length >= mostConnections) return true;
    return !isPrivileged && alike.filter((other) => other.uid === uid).length >= mostPerUser;
  }
}

/** Who is at the other end; undefined for one that has left already. */
function callerAt(socket: Socket): Caller | undefined {
  try {
    return callerOf(peerOf(socket), process.geteuid?.() ?? 0);
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}

async function answerLines(
  socket: Socket,
  parts: AgentParts,
  { caller, left }: { readonly caller: Caller; readonly left: AbortSignal },
): Promise<void> {
  for await (const line of linesOf(socket)) {
    if (line === undefined) return refuse(socket, controlErrors.invalid({ problem: 'the line is too long' }));
    const send = (message: object) => sendLine(socket, message, left);
    try {
      // While a request is answered, silence is not idleness.
      socket.setTimeout(0);
      const result = await answerRequest(parts, parseLine(line), { caller, send, signal: left });
      await send({ result });
    } catch (error) {
      if (left.aborted) return;
      if (!(error instanceof CodedError)) parts.log.error('a request failed', asDeclared(error), error);
      await send({ error: describe(asDeclared(error)) });
    } finally {
      socket.setTimeout(idleMs);
    }
  }
}

function parseLine(line: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line));
  } catch {
    throw controlErrors.invalid({ problem: 'it is not a JSON object in UTF-8' });
  }
}

/** The lines that come, without their ends; undefined for one that is too long, and then nothing more. */
async function* linesOf(socket: Socket): AsyncGenerator<Buffer | undefined> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...parts, chunk.subarray(from, end)]);
      [parts, bytes, from] = [[], 0, end + 1];
      yield line.length > mostLineBytes ? undefined : line;
    }
    parts.push(chunk.subarray(from));
    bytes += chunk.length - from;
    if (bytes > mostLineBytes) yield undefined;
  }
}

/** Waits while the peer does not read; a peer that is gone ends the request. */
async function sendLine(socket: Socket, message: object, left: AbortSignal): Promise<void> {
  left.throwIfAborted();
  if (socket.write(`${JSON.stringify(message)}\n`)) return;
  await new Promise<void>((resolve) => {
    const go = () => {
      socket.off('drain', go);
      left.removeEventListener('abort', go);
      resolve();
    };
    socket.on('drain', go);
    left.addEventListener('abort', go);
  });
}

function refuse(socket: Socket, error: CodedError): void {
  socket.end(`${JSON.stringify({ error: describe(error) })}\n`);
}

function describe({ code, kind, message, details }: CodedError): object {
  return { code, kind, message, details };
}

function asDeclared(error: unknown): CodedError {
  return error instanceof CodedError ? error : controlErrors.fault({}, error);
}
