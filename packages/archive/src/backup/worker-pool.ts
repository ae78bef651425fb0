import { CodedError } from '@holdfast/base';
import { performance } from 'node:perf_hooks';
import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { backupErrors } from './errors.ts';
import type { FromWorker, Job, Reply, WorkerSetup } from './messages.ts';
import type { DestinationMask } from './routes.ts';
import type { SharedControl } from './shared-control.ts';
import type { Uploader } from './uploader.ts';

/** Starts a worker thread that will call `runBackupWorker` with what it gets as `workerData`. */
export type StartWorker = (data: WorkerThreadData, transfer: readonly MessagePort[]) => Worker;

/** What a worker thread is given. */
export type WorkerThreadData = {
  readonly jobs: MessagePort;
  readonly spares: MessagePort;
  readonly setup: WorkerSetup;
};

type Asked = { readonly resolve: (reply: Reply) => void; readonly reject: (error: unknown) => void };

/** A job without its number: the pool gives it one. */
export type NewJob = Job extends infer J ? (J extends Job ? Omit<J, 'job'> : never) : never;

/**
 * The worker threads of one backup: hands out jobs, passes fragments to the uploader.
 *
 * The first thread starts at once, a further one for the first job that finds all before it busy: most looks at what
 * changed are one thread's work.
 */
export class WorkerPool {
  readonly #members: PoolMember[];
  readonly #onReply: (worker: number, reply: Reply) => void;
  readonly #control: SharedControl;
  #nextJob = 1;
  readonly #line: (() => void)[] = [];

  constructor(
    start: StartWorker,
    options: {
      readonly count: number;
      /** All threads are started at once: there is work for each. */
      readonly isMuchExpected: boolean;
      readonly setup: WorkerSetup;
      readonly control: SharedControl;
      readonly uploader: Uploader;
      /** Called for each reply in the order its worker sent it, before the asker hears of it. */
      readonly onReply: (worker: number, reply: Reply) => void;
      /** Called as bytes are read, and with 0 as a fragment is acknowledged. */
      readonly onProgress: (readBytes: number) => void;
    },
  ) {
    this.#onReply = options.onReply;
    this.#control = options.control;
    this.#members = Array.from(
      { length: options.count },
      (_, index) =>
        new PoolMember(start, options.setup, {
          onFragment: (fragment, destinations) => this.#send({ fragment, destinations }, index, options),
          onProgress: options.onProgress,
          onReply: (reply) => this.#onReply(index, reply),
        }),
    );
    for (const member of options.isMuchExpected ? this.#members : this.#members.slice(0, 1)) member.start();
  }

  get size(): number {
    return this.#members.length;
  }

  /** Whether a worker should get another job. */
  get hasRoom(): boolean {
    return this.#members.some((member) => member.hasRoom);
  }

  /** Gives a job to the first worker of those with the least to do; waits in line while all have enough. */
  async ask(job: NewJob): Promise<Reply> {
    if (!this.hasRoom || this.#line.length > 0) await new Promise<void>((resolve) => this.#line.push(resolve));
    const withRoom = this.#members.filter((member) => member.hasRoom);
    const member = (withRoom.length > 0 ? withRoom : this.#members).toSorted((a, b) => a.asked - b.asked)[0]!;
    try {
      return await member.ask({ ...job, job: this.#nextJob++ });
    } finally {
      this.#line.shift()?.();
    }
  }

  /** Has every worker hand over what it gathered: resolves when all have. Jobs go on meanwhile, also those under way. */
  async flush(): Promise<void> {
    const job = this.#nextJob++;
    this.#control.askForFlush(job);
    const asked = this.#members.filter((member) => member.isStarted);
    await Promise.all(asked.map((member) => member.ask({ kind: 'flush', job })));
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.close()));
  }

  #send(
    { fragment, destinations }: { readonly fragment: Uint8Array; readonly destinations: DestinationMask },
    index: number,
    options: { control: SharedControl; uploader: Uploader; onProgress: (readBytes: number) => void },
  ): void {
    const bytes = fragment.length;
    options.uploader
      .send(fragment, destinations)
      .then(
        () => {
          this.#members[index]?.giveBack(fragment.buffer as ArrayBuffer);
          options.onProgress(0);
        },
        // The uploader keeps the failure, and whoever waits for it to drain hears of it.
        () => options.control.stop(),
      )
      .finally(() => options.control.release(bytes));
  }
}

type Hooks = {
  readonly onFragment: (fragment: Uint8Array, destinations: DestinationMask) => void;
  readonly onProgress: (readBytes: number) => void;
  readonly onReply: (reply: Reply) => void;
};

/** Jobs that a worker has ahead: at least two, and as many as keep it busy while the main thread writes a commit. */
const leastAhead = 2;
const mostAhead = 32;
const aheadMs = 50;
const closeTimeoutMs = 30_000;

class PoolMember {
  readonly #startThread: () => Worker;
  #thread: Worker | undefined;
  readonly #jobs: MessagePort;
  readonly #spares: MessagePort;
  readonly #asked = new Map<number, Asked>();
  readonly #hooks: Hooks;
  /** What a job took lately, on average, and when the last one ended. */
  #jobMs = aheadMs;
  #repliedAtMs = 0;
  #isClosed = false;

  constructor(start: StartWorker, setup: WorkerSetup, hooks: Hooks) {
    const jobs = new MessageChannel();
    const spares = new MessageChannel();
    this.#hooks = hooks;
    this.#jobs = jobs.port1;
    this.#spares = spares.port1;
    this.#startThread = () => start({ jobs: jobs.port2, spares: spares.port2, setup }, [jobs.port2, spares.port2]);
    this.#jobs.on('message', (message: FromWorker) => this.#hear(message));
  }

  get isStarted(): boolean {
    return this.#thread !== undefined;
  }

  start(): void {
    if (this.#thread) return;
    this.#thread = this.#startThread();
    this.#thread.on('error', (error) => this.#die(error));
    this.#thread.on('exit', () => this.#die(undefined));
  }

  get asked(): number {
    return this.#asked.size;
  }

  get hasRoom(): boolean {
    // One that is at a long job gets no more behind it than it has.
    const jobMs = Math.max(this.#jobMs, performance.now() - this.#repliedAtMs);
    return this.asked < Math.max(leastAhead, Math.min(mostAhead, aheadMs / jobMs));
  }

  ask(job: Job): Promise<Reply> {
    if (this.#isClosed) return Promise.reject(backupErrors.worker_died());
    this.start();
    if (this.asked === 0) this.#repliedAtMs = performance.now();
    return new Promise((resolve, reject) => {
      this.#asked.set(job.job, { resolve, reject });
      this.#jobs.postMessage(job);
    });
  }

  giveBack(buffer: ArrayBuffer): void {
    this.#spares.postMessage(buffer, [buffer]);
  }

  /**
   * Lets the thread end by itself, as closed ports make it: one that is ended from outside leaves open what it has open,
   * and in a call of a native library takes the process along. One that hangs in the kernel is given up.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    const thread = this.#thread;
    const isRunning = thread !== undefined && thread.threadId >= 0;
    const exited = isRunning && new Promise<void>((resolve) => thread.once('exit', () => resolve()));
    this.#jobs.close();
    this.#spares.close();
    if (!exited) return;
    const timer = setTimeout(() => void thread.terminate(), closeTimeoutMs);
    await exited;
    clearTimeout(timer);
  }

  #hear(message: FromWorker): void {
    if (message.kind === 'fragment') return this.#hooks.onFragment(message.fragment, message.destinations);
    if (message.kind === 'progress') return this.#hooks.onProgress(message.readBytes);
    const nowMs = performance.now();
    this.#jobMs += (nowMs - this.#repliedAtMs - this.#jobMs) / 8;
    this.#repliedAtMs = nowMs;
    this.#hooks.onReply(message);
    const asked = this.#asked.get(message.job);
    this.#asked.delete(message.job);
    if (message.kind !== 'failed') asked?.resolve(message);
    else if (message.isBug) asked?.reject(new Error(message.message));
    else if (message.code === backupErrors.stopped.code) asked?.reject(backupErrors.stopped());
    else asked?.resolve(message);
  }

  #die(cause: unknown): void {
    if (!this.#isClosed) this.#isClosed = true;
    for (const { reject } of this.#asked.values()) {
      reject(cause instanceof CodedError ? cause : backupErrors.worker_died({}, cause));
    }
    this.#asked.clear();
  }
}
