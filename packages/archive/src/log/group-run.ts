/** Runs one piece of work for all who ask while it waits: each call is served by a run that began after it. */
export class GroupRun<T> {
  readonly #work: () => Promise<T>;
  #running: Promise<T> | undefined;
  #next: Promise<T> | undefined;

  constructor(work: () => Promise<T>) {
    this.#work = work;
  }

  run(): Promise<T> {
    if (!this.#running) return this.#start();
    this.#next ??= this.settle().then(() => {
      this.#next = undefined;
      return this.#start();
    });
    return this.#next;
  }

  /** Waits for the run under way, if there is one, however it ends. */
  async settle(): Promise<void> {
    await this.#running?.catch(() => undefined);
  }

  #start(): Promise<T> {
    this.#running = this.#work().finally(() => (this.#running = undefined));
    return this.#running;
  }
}
