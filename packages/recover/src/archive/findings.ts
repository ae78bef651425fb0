/** How much a finding weighs: content that is lost, a state that is not proven, or something to know. */
export type Severity = 'loss' | 'unproven' | 'notice';

/** One thing the reader noticed. `path` is where it was to be restored; `records` are ordinals as `writer:sequence`. */
export type Finding = {
  readonly severity: Severity;
  readonly code: string;
  readonly message: string;
  readonly path?: Buffer;
  readonly records?: readonly string[];
  readonly where?: string;
};

const KEPT_PER_CODE = 2_000;

/**
 * Collects what is noticed during a run.
 *
 * Every finding is counted; the first 2,000 of each code are kept, so that a ruined archive cannot fill the memory.
 */
export class Findings {
  readonly #kept: Finding[] = [];
  readonly #counts = new Map<string, { severity: Severity; count: number }>();

  add(finding: Finding): void {
    const counted = this.#counts.get(finding.code) ?? { severity: finding.severity, count: 0 };
    counted.count += 1;
    this.#counts.set(finding.code, counted);
    if (counted.count <= KEPT_PER_CODE) this.#kept.push(finding);
  }

  has(code: string): boolean {
    return this.#counts.has(code);
  }

  get kept(): readonly Finding[] {
    return this.#kept;
  }

  /** Number of findings of a severity, those not kept included. */
  count(severity: Severity): number {
    return [...this.#counts.values()].reduce((sum, one) => sum + (one.severity === severity ? one.count : 0), 0);
  }

  /** Number of findings by code. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].map(([code, { count }]) => [code, count]));
  }
}
