import type { Readable } from 'node:stream';
import { systemClock, type Clock } from '@holdfast/base';
import { z } from 'zod';
import { listen, type KeystoreOrders, type Told } from './orders.ts';
import type { RoleAccess } from '../platform/role-access.ts';

/** A question for what opens the keys now. It is no secret, and goes by the channel that says that the keystore is ready. */
const Question = z.strictObject({ asks: z.int().min(1) });
type Question = z.infer<typeof Question>;

/** The number of a question among the messages of a keystore; undefined for others. */
export function questionOf(message: unknown): number | undefined {
  const parsed = Question.safeParse(message);
  return parsed.success ? parsed.data.asks : undefined;
}

const ANSWER_MS = 5_000;

/** The server as its keystore sees it: what it tells over the pipe that ends with it. */
export class Parent {
  /** Undefined where the pipe ends before them. */
  readonly orders: Promise<KeystoreOrders | undefined>;
  /** Resolves when the pipe ends. */
  readonly ended: Promise<void>;
  readonly #ask: (question: Question) => void;
  readonly #clock: Clock;
  readonly #waiting = new Map<number, (access: RoleAccess | undefined) => void>();
  #asked = 0;

  constructor(pipe: Readable, ask: (question: Question) => void, clock: Clock = systemClock) {
    const orders = Promise.withResolvers<KeystoreOrders | undefined>();
    this.#ask = ask;
    this.#clock = clock;
    this.orders = orders.promise;
    this.ended = listen(pipe, (told) => {
      if ('orders' in told) orders.resolve(told.orders);
      else this.#answer(told);
    });
    this.ended.then(() => orders.resolve(undefined), orders.reject);
  }

  /** What opens the keys now; undefined where the server did not say it within 5 s. */
  async askAccess(): Promise<RoleAccess | undefined> {
    const asks = ++this.#asked;
    const { promise, resolve } = Promise.withResolvers<RoleAccess | undefined>();
    this.#waiting.set(asks, resolve);
    const stop = new AbortController();
    this.#clock.sleep(ANSWER_MS, stop.signal).then(
      () => resolve(undefined),
      () => undefined,
    );
    this.#ask({ asks });
    try {
      return await promise;
    } finally {
      stop.abort();
      this.#waiting.delete(asks);
    }
  }

  #answer({ answers, access }: Extract<Told, { readonly answers: number }>): void {
    this.#waiting.get(answers)?.(access);
  }
}
