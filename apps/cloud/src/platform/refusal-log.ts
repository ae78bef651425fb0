import type { Clock } from '@holdfast/base';
import type { WriteAudit } from './context.ts';
import type { Log } from './log.ts';
import type { Database } from './postgres.ts';

/** A refusal as the audit log tells it. */
export type Refusal = Omit<Parameters<WriteAudit>[1], 'outcome' | 'before' | 'after'>;

/** What writing refusals needs. */
export type RefusalLogDeps = {
  readonly database: Database;
  readonly writeAudit: WriteAudit;
  readonly clock: Clock;
};

/** Refusals of one kind that get an entry each within `WINDOW_MS`; what comes after is counted. */
export const RECORDED_EACH = 20;
/** How long refusals of one kind are counted together. */
export const WINDOW_MS = 3_600_000;
const EVERY_MS = 60_000;
const MAX_WINDOWS = 20_000;
const MAX_ADDRESSES = 10;

type Window = {
  readonly first: Refusal;
  readonly endsAtMs: number;
  count: number;
  /** Instant of the first refusal that was counted only. */
  since: Date | undefined;
  readonly ipAddresses: Set<string>;
};

/**
 * Writes refusals to the audit log, so that nobody fills a log nothing is ever deleted from.
 *
 * Of one kind (tenant, who, what, and the facts) the first 20 of an hour get an entry each. The others are counted in this
 * process, and when the hour is over one entry says how many they were and where they came from.
 */
export class RefusalLog {
  readonly #deps: RefusalLogDeps;
  readonly #windows = new Map<string, Window>();

  constructor(deps: RefusalLogDeps) {
    this.#deps = deps;
  }

  /** Records one refusal, in a transaction of its own: the refused act rolls its own back. */
  async record(refusal: Refusal): Promise<void> {
    const key = keyOf(refusal);
    const window = this.#windows.get(key) ?? (await this.#open(key, refusal));
    window.count++;
    if (window.count <= RECORDED_EACH) return this.#write(refusal);
    window.since ??= refusal.at;
    const { ipAddress } = refusal.source ?? {};
    if (ipAddress !== undefined && window.ipAddresses.size < MAX_ADDRESSES) window.ipAddresses.add(ipAddress);
  }

  /** Writes what was counted in hours that are over; with `all`, in those that run as well. */
  async summarise({ all = false }: { readonly all?: boolean } = {}): Promise<void> {
    const nowMs = this.#deps.clock.monotonic();
    const due = [...this.#windows].filter(([, window]) => all || window.endsAtMs <= nowMs);
    for (const [key, window] of due) await this.#close(key, window);
  }

  /** Writes what was counted every minute, and all of it when the signal aborts; resolves then. */
  async run(log: Log, signal: AbortSignal): Promise<void> {
    for (;;) {
      const writing = this.summarise({ all: signal.aborted });
      await writing.catch((err: unknown) => log.error({ err }, 'refusals that were counted are not in the audit log'));
      if (signal.aborted) return;
      await this.#deps.clock.sleep(EVERY_MS, signal).catch(() => undefined);
    }
  }

  /** Opens a window; where there are too many, the oldest is closed early. */
  async #open(key: string, first: Refusal): Promise<Window> {
    const endsAtMs = this.#deps.clock.monotonic() + WINDOW_MS;
    const window: Window = { first, endsAtMs, count: 0, since: undefined, ipAddresses: new Set() };
    this.#windows.set(key, window);
    const [oldest] = this.#windows;
    if (oldest && this.#windows.size > MAX_WINDOWS) await this.#close(...oldest);
    return window;
  }

  async #close(key: string, window: Window): Promise<void> {
    this.#windows.delete(key);
    const count = window.count - RECORDED_EACH;
    if (count <= 0) return;
    const { source: _, requestId: __, facts, ...about } = window.first;
    const summary = { count, since: window.since?.toISOString() ?? null, ipAddresses: [...window.ipAddresses] };
    const at = new Date(this.#deps.clock.now());
    try {
      await this.#write({ ...about, at, facts: { ...facts, furtherRefusals: summary } });
    } catch (error) {
      // Kept for the next time, unless it has begun anew meanwhile.
      if (!this.#windows.has(key)) this.#windows.set(key, window);
      throw error;
    }
  }

  #write(refusal: Refusal): Promise<void> {
    const { database, writeAudit } = this.#deps;
    return database.withTenant(refusal.tenantId, (tx) => writeAudit(tx, { ...refusal, outcome: 'refused' }));
  }
}

function keyOf({ tenantId, eventType, actor, target, facts }: Refusal): string {
  return JSON.stringify([tenantId, eventType, actor.kind, actor.id, target?.id, facts]);
}
