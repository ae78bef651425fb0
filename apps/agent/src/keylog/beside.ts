/** Something that is done again and again beside everything else. */
export type Beside = {
  /** Begins it, unless it is under way. */
  readonly start: () => void;
  /** Waits until it is not under way. */
  readonly settle: () => Promise<void>;
};

/** Has something done beside whoever asks for it: what hangs in it holds nobody up. `work` fails never. */
export function beside(work: () => Promise<void>): Beside {
  let running: Promise<void> | undefined;
  return {
    start() {
      running ??= work().finally(() => (running = undefined));
    },
    settle: () => running ?? Promise.resolve(),
  };
}
