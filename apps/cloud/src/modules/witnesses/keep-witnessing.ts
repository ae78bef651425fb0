import { CodedError, retryDelayMs, type RetryPolicy } from '@holdfast/base';
import type { Log } from '../../platform/log.ts';
import type { AskingWitnesses } from './ask-witness.ts';
import { witnessErrors } from './errors.ts';
import { listTenantsToWitness } from './store.ts';
import type { Witness } from './witness.ts';
import { witnessHead, type WitnessDeps } from './witness-head.ts';

/** What keeping witnesses up to date needs. */
export type WitnessingDeps = WitnessDeps &
  Omit<AskingWitnesses, 'signal'> & { readonly log: Log; readonly witnesses: readonly Witness[] };

/** Seconds between two looks at what a witness has not cosigned. */
const LOOK_EVERY_SECONDS = 60;
/** After the first failure it waits about as long as a look, then ever longer. */
const BACKOFF = { attempts: Infinity, firstDelayMs: 60_000, maxDelayMs: 3_600_000 } as const satisfies RetryPolicy;
const PAGE = 500;
/** After so many submissions in a row without an answer, a witness is left alone for a while, whoever is next. */
const MOST_SILENCES = 3;
/** Of so many tenants each change is said in one look; of more only how many there are. */
const MOST_SAID = 20;
const FIRST_TENANT = '00000000-0000-0000-0000-000000000000';

/** Has every witness cosign the newest signed heads of all key logs, until the signal aborts; then the promise resolves. */
export async function keepWitnessing(deps: WitnessingDeps, signal: AbortSignal): Promise<void> {
  await Promise.all(deps.witnesses.map((witness) => keepOne(new Witnessing(deps, witness, signal), deps, signal)));
}

async function keepOne(witnessing: Witnessing, { clock, log }: WitnessingDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await witnessing.look().catch((err: unknown) => {
      if (!signal.aborted) log.error({ err }, 'heads of key logs could not be submitted to a witness');
    });
    await clock.sleep(LOOK_EVERY_SECONDS * 1_000, signal).catch(() => undefined);
  }
}

/** What failed, how often in a row, and until when it is left alone. */
type Failing = { readonly code: string; readonly failures: number; readonly untilMs: number };

/**
 * One witness, and what is remembered of it while this process runs: who is waiting for it after a failure, and what was said.
 *
 * One head is submitted at a time: what a witness is given to do follows from how fast it answers, however many tenants
 * there are.
 */
export class Witnessing {
  readonly #deps: WitnessingDeps;
  readonly #witness: Witness;
  readonly #signal: AbortSignal;
  /** Tenants whose last submission failed. */
  readonly #failing = new Map<string, Failing>();
  #away: Failing | undefined;
  #silences = 0;
  #unsaid = 0;
  #said = 0;

  constructor(deps: WitnessingDeps, witness: Witness, signal: AbortSignal) {
    this.#deps = deps;
    this.#witness = witness;
    this.#signal = signal;
  }

  /** Submits what the witness has not cosigned, tenant by tenant; returns how many heads it cosigned. */
  async look(): Promise<number> {
    const { database, log } = this.#deps;
    let cosigned = 0;
    [this.#said, this.#unsaid] = [0, 0];
    for (let after: string | undefined = FIRST_TENANT; after !== undefined && !this.#isLeftAlone();) {
      const page = { witness: this.#witness.keyText, after, limit: PAGE };
      const tenantIds: readonly string[] = await database.withoutTenant((tx) => listTenantsToWitness(tx, page));
      cosigned += await this.#submitAll(tenantIds);
      after = tenantIds.length < PAGE ? undefined : tenantIds.at(-1);
    }
    const facts = { witness: this.#witness.key.name, changes: this.#unsaid };
    if (this.#unsaid > 0) log.warn(facts, 'more key logs changed how they stand with a witness');
    return cosigned;
  }

  async #submitAll(tenantIds: readonly string[]): Promise<number> {
    let cosigned = 0;
    for (const tenantId of tenantIds) {
      if (this.#isLeftAlone()) break;
      const isWaiting = (this.#failing.get(tenantId)?.untilMs ?? 0) > this.#deps.clock.now();
      if (!isWaiting && (await this.#submit(tenantId))) cosigned++;
    }
    return cosigned;
  }

  #isLeftAlone(): boolean {
    return this.#signal.aborted || (this.#away?.untilMs ?? 0) > this.#deps.clock.now();
  }

  async #submit(tenantId: string): Promise<boolean> {
    const { egress, ca } = this.#deps;
    try {
      await witnessHead(this.#deps, { egress, ca, signal: this.#signal }, { tenantId, witness: this.#witness });
    } catch (error) {
      if (this.#signal.aborted) return false;
      if (!(error instanceof CodedError) || !error.code.startsWith('witness.')) throw error;
      const isSilent = error.code === witnessErrors.away.code;
      if (!isSilent) this.#noteAnswer();
      if (!isSilent || !this.#noteSilence(error)) this.#noteFailure(tenantId, error);
      return false;
    }
    this.#noteAnswer();
    if (this.#failing.delete(tenantId)) this.#say('info', {}, 'a witness cosigns the key log of a tenant again');
    return true;
  }

  /** Whether it is one of so many that the witness is left alone: one alone may be about that tenant's log. */
  #noteSilence(error: CodedError): boolean {
    this.#silences++;
    if (this.#silences < MOST_SILENCES && !this.#away) return false;
    if (!this.#away) this.#deps.log.warn({ err: error }, 'a witness does not answer; it is tried again');
    this.#away = this.#failingAfter(this.#away, error.code);
    return true;
  }

  #noteAnswer(): void {
    this.#silences = 0;
    if (this.#away) this.#deps.log.info({ witness: this.#witness.key.name }, 'a witness answers again');
    this.#away = undefined;
  }

  #noteFailure(tenantId: string, error: CodedError): void {
    const before = this.#failing.get(tenantId);
    this.#failing.set(tenantId, this.#failingAfter(before, error.code));
    if (before?.code === error.code) return;
    if (error.kind === 'corrupt')
      this.#say('error', { err: error }, `${error.message}: holdfast cloud witnesses says which`);
    else this.#say('warn', { err: error }, 'a witness did not cosign the head of a key log; it is tried again');
  }

  #failingAfter(before: Failing | undefined, code: string): Failing {
    const failures = (before?.code === code ? before.failures : 0) + 1;
    return { code, failures, untilMs: this.#deps.clock.now() + retryDelayMs(BACKOFF, failures, Math.random()) };
  }

  #say(level: 'info' | 'warn' | 'error', facts: Readonly<Record<string, unknown>>, message: string): void {
    // What contradicts the log that is here is never only counted.
    if (level !== 'error' && this.#said++ >= MOST_SAID) this.#unsaid++;
    else this.#deps.log[level]({ witness: this.#witness.key.name, ...facts }, message);
  }
}
