import type { Clock } from '@holdfast/base';
import type { Asking } from './requests.ts';

const progressEveryMs = 250;

/** Sends at most a few messages a second, and none that the peer does not wait for. */
export function throttled({ send }: Asking, clock: Clock): (message: object) => void {
  let sentAtMs = Number.NEGATIVE_INFINITY;
  return (message) => {
    if (clock.monotonic() - sentAtMs < progressEveryMs) return;
    sentAtMs = clock.monotonic();
    // A peer that is gone ends the request by its signal.
    send(message).catch(() => undefined);
  };
}
