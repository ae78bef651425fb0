import type { Clock, Random } from '@holdfast/base';
import { makeRecoveryCode, parseRecoveryCode } from '@holdfast/trust';
import { keyErrors } from './errors.ts';

const validForMs = 30 * 60_000;

/**
 * A recovery code between being shown and being typed back. Only in memory, for half an hour at most; until it is
 * typed back nothing about the archive changes.
 */
export class ShownRecoveryCode {
  readonly #clock: Clock;
  readonly #random: Random;
  #shown: { readonly secret: Uint8Array; readonly atMs: number } | undefined;

  constructor(ports: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = ports.clock;
    this.#random = ports.random;
  }

  /** A new code, 24 words; the one shown before can no longer be confirmed. */
  show(): string {
    const code = makeRecoveryCode(this.#random);
    this.#shown = { secret: parseRecoveryCode(code), atMs: this.#clock.monotonic() };
    return code;
  }

  /**
   * The secret of the code that was shown, once the same was typed back. A wrong one may be typed again.
   * @throws keys.no_code_shown, keys.code_differs, recovery_code.*
   */
  confirm(typed: string): Uint8Array {
    const shown = this.#shown;
    if (!shown || this.#clock.monotonic() - shown.atMs > validForMs) {
      this.#shown = undefined;
      throw keyErrors.no_code_shown();
    }
    if (Buffer.compare(parseRecoveryCode(typed), shown.secret) !== 0) throw keyErrors.code_differs();
    this.#shown = undefined;
    return shown.secret;
  }
}
