import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { CodedError } from '@holdfast/base';
import { restoreErrors } from './errors.ts';
import type { RestoreJob, RestoreReply, RestoreSetup } from './messages.ts';

/** What a worker thread is given: it calls `runRestoreWorker` with this and its own `Target`. */
export type RestoreThreadData = { readonly jobs: MessagePort; readonly setup: RestoreSetup };

/** Starts a worker thread that will call `runRestoreWorker` with what it gets as `workerData`. */
export type StartRestoreWorker = (data: RestoreThreadData, transfer: readonly MessagePort[]) => Worker;

/** Somebody who carries out jobs by a `RestoreWorker`, in a thread or in a process of its own. */
export type RestoreWriter = {
  /** Called once, before the first job. `onEnd`: it ended, asked or not; a `CodedError` says why, an exit code how. */
  listen(onReply: (reply: RestoreReply) => void, onEnd: (cause: unknown, exitCode?: number) => void): void;
  /** Buffers in `transfer` may be taken over. */
  post(job: RestoreJob, transfer: readonly ArrayBuffer[]): void;
  /** Ends it after the job it is at; one that hangs is given up. Resolves when it is gone. */
  close(): Promise<void>;
};

/** A job without its number: the pool gives it one. */
export type NewRestoreJob = RestoreJob extends infer J ? (J extends RestoreJob ? Omit<J, 'job'> : never) : never;

type Reply<K extends RestoreReply['kind']> = Extract<RestoreReply, { kind: K }>;

/** Those who write one restore. */
export class RestorePool {
  /** Whether they have keys: they are given records then, and pieces otherwise. */
  readonly opensRecords: boolean;
  readonly #members: Member[];
  #nextJob = 1;

  constructor(writers: readonly RestoreWriter[], opensRecords: boolean) {
    this.opensRecords = opensRecords;
    this.#members = writers.map((writer) => new Member(writer));
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

  /** Ends them, each after the job it is at. */
  async close(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.close()));
  }
}

function failureOf({ code, errorKind, message, isBug, entry }: Reply<'failed'>): Error {
  const details = entry === undefined ? {} : { entry };
  return isBug ? new Error(message) : new CodedError({ code, kind: errorKind, message, details });
}

type Asked = { readonly resolve: (reply: RestoreReply) => void; readonly reject: (error: unknown) => void };

class Member {
  readonly #writer: RestoreWriter;
  readonly #asked = new Map<number, Asked>();
  #isClosed = false;
  #death: CodedError | undefined;

  constructor(writer: RestoreWriter) {
    this.#writer = writer;
    writer.listen(
      (reply) => {
        const asked = this.#asked.get(reply.job);
        this.#asked.delete(reply.job);
        asked?.resolve(reply);
      },
      (cause, exitCode) => this.#die(cause, exitCode),
    );
  }

  get asked(): number {
    return this.#asked.size;
  }

  ask(job: RestoreJob, transfer: readonly ArrayBuffer[]): Promise<RestoreReply> {
    if (this.#isClosed) return Promise.reject(this.#death ?? restoreErrors.worker_died());
    return new Promise((resolve, reject) => {
      this.#asked.set(job.job, { resolve, reject });
      this.#writer.post(job, transfer);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#writer.close();
  }

  #die(cause: unknown, exitCode?: number): void {
    this.#isClosed = true;
    this.#death ??= cause instanceof CodedError ? cause : restoreErrors.worker_died({ exitCode }, cause);
    for (const { reject } of this.#asked.values()) reject(this.#death);
    this.#asked.clear();
  }
}

const closeTimeoutMs = 30_000;

/** A thread of this process as one that writes. */
export function writerInThread(start: StartRestoreWorker, setup: RestoreSetup): RestoreWriter {
  const { port1: jobs, port2 } = new MessageChannel();
  const thread = start({ jobs: port2, setup }, [port2]);
  return {
    listen: (onReply, onEnd) => {
      jobs.on('message', onReply);
      thread.on('error', (error) => onEnd(error));
      thread.on('exit', (exitCode) => onEnd(undefined, exitCode));
    },
    post: (job, transfer) => jobs.postMessage(job, transfer as ArrayBuffer[]),
    // A closed port ends the thread once it has closed its descriptors; one that hangs in the kernel is given up.
    close: async () => {
      const exited = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
      if (thread.threadId < 0) return;
      jobs.close();
      const timer = setTimeout(() => void thread.terminate(), closeTimeoutMs);
      await exited;
      clearTimeout(timer);
    },
  };
}
