import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { CodedError } from '@holdfast/base';
import { restoreErrors } from './errors.ts';
import type { RestoreJob, RestoreReply, RestoreSetup } from './messages.ts';

/** What a worker thread is given: it calls `runRestoreWorker` with this and its own `Target`. */
export type RestoreThreadData = { readonly jobs: MessagePort; readonly setup: RestoreSetup };

/** Starts a worker thread that will call `runRestoreWorker` with what it gets as `workerData`. */
export type StartRestoreWorker = (data: RestoreThreadData, transfer: readonly MessagePort[]) => Worker;

/** A job without its number: the pool gives it one. */
export type NewRestoreJob = RestoreJob extends infer J ? (J extends RestoreJob ? Omit<J, 'job'> : never) : never;

type Reply<K extends RestoreReply['kind']> = Extract<RestoreReply, { kind: K }>;

/** The worker threads of one restore. */
export class RestorePool {
  readonly #members: Member[];
  #nextJob = 1;

  constructor(start: StartRestoreWorker, count: number, setup: RestoreSetup) {
    this.#members = Array.from({ length: count }, () => new Member(start, setup));
  }

  get size(): number {
    return this.#members.length;
  }

  /** Gives a job to the worker with the least to do. @throws what the worker declared, or what made it end */
  async ask<K extends RestoreReply['kind']>(
    kind: K,
    job: NewRestoreJob,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Reply<K>> {
    let member = this.#members[0]!;
    for (const other of this.#members) if (other.asked < member.asked) member = other;
    const reply = await member.ask({ ...job, job: this.#nextJob++ }, transfer);
    if (reply.kind === 'failed') throw failureOf(reply);
    if (reply.kind !== kind) throw new Error(`a worker answered ${reply.kind} where ${kind} was asked`);
    return reply as Reply<K>;
  }

  /** Ends the threads, each after the job it is at. */
  async close(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.close()));
  }
}

function failureOf({ code, errorKind, message, isBug }: Reply<'failed'>): Error {
  return isBug ? new Error(message) : new CodedError({ code, kind: errorKind, message });
}

type Asked = { readonly resolve: (reply: RestoreReply) => void; readonly reject: (error: unknown) => void };

const closeTimeoutMs = 30_000;

class Member {
  readonly #thread: Worker;
  readonly #jobs: MessagePort;
  readonly #asked = new Map<number, Asked>();
  #isClosed = false;
  #death: CodedError | undefined;

  constructor(start: StartRestoreWorker, setup: RestoreSetup) {
    const { port1, port2 } = new MessageChannel();
    this.#jobs = port1;
    this.#thread = start({ jobs: port2, setup }, [port2]);
    this.#jobs.on('message', (reply: RestoreReply) => {
      const asked = this.#asked.get(reply.job);
      this.#asked.delete(reply.job);
      asked?.resolve(reply);
    });
    this.#thread.on('error', (error) => this.#die(error));
    this.#thread.on('exit', (exitCode) => this.#die(undefined, exitCode));
  }

  get asked(): number {
    return this.#asked.size;
  }

  ask(job: RestoreJob, transfer: readonly ArrayBuffer[]): Promise<RestoreReply> {
    if (this.#isClosed) return Promise.reject(this.#death ?? restoreErrors.worker_died());
    return new Promise((resolve, reject) => {
      this.#asked.set(job.job, { resolve, reject });
      this.#jobs.postMessage(job, transfer as ArrayBuffer[]);
    });
  }

  /** A closed port ends the thread once it has closed its descriptors; one that hangs in the kernel is given up. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const exited = new Promise<void>((resolve) => this.#thread.once('exit', () => resolve()));
    if (this.#thread.threadId < 0) return;
    this.#jobs.close();
    const timer = setTimeout(() => void this.#thread.terminate(), closeTimeoutMs);
    await exited;
    clearTimeout(timer);
  }

  #die(cause: unknown, exitCode?: number): void {
    this.#isClosed = true;
    this.#death ??= cause instanceof CodedError ? cause : restoreErrors.worker_died({ exitCode }, cause);
    for (const { reject } of this.#asked.values()) reject(this.#death);
    this.#asked.clear();
  }
}
