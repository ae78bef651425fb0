import type { LocalIndex } from '../index/local-index.ts';
import type { SharedControl } from './shared-control.ts';

const leasedOrdinals = 65_536;

/**
 * The ordinals that a run may use, shared with its workers.
 *
 * They are leased on stable storage before any is used: after a crash they are burnt, never used again.
 */
export class OrdinalLease {
  readonly #index: LocalIndex;
  readonly #control: SharedControl;
  #leasedTo: number;

  constructor(index: LocalIndex, control: SharedControl) {
    this.#index = index;
    this.#control = control;
    const first = index.lease('ordinals', leasedOrdinals);
    this.#leasedTo = first + leasedOrdinals;
    control.startLease(first, this.#leasedTo);
  }

  /** Leases more once half of them are used. */
  extend(): void {
    if (this.#control.remaining > leasedOrdinals / 2) return;
    this.#index.lease('ordinals', leasedOrdinals);
    this.#leasedTo += leasedOrdinals;
    this.#control.extendLease(this.#leasedTo);
  }
}
