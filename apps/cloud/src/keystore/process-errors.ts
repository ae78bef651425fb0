import { defineErrors } from '@holdfast/base';

/** Failures of the keystore as a process: what it does with keys has errors of its own. */
export const keystoreErrors = defineErrors('keystore', {
  away: ['unavailable', 'The keystore does not answer just now'],
  busy: ['unavailable', 'The keystore has more requests than it takes at once'],
  bad_request: ['invalid', 'The keystore was asked for something in a form it does not know'],
  fault: ['corrupt', 'The keystore met a fault of its own, or answered in a form nobody knows'],
  already_running: ['conflict', 'A keystore is already running in this folder'],
  memory_open: ['unavailable', 'The memory of the keystore could not be closed to other processes'],
  tenant_unknown: ['not_found', 'The keystore has no keys for that tenant'],
  other_log: ['conflict', 'The keystore knows another log key of that tenant, and takes no new one unsigned'],
});
