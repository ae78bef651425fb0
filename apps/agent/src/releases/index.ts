/**
 * Releases: asking for the keys of archives with a key of one's own, approving, and taking what was released.
 *
 * A person has its key in a file and the card of its server beside it; a device asks by its enrolment. Nothing that is taken is
 * believed without its leaf in the log that the pinned key signs.
 */
export { releaseClientErrors } from './errors.ts';
export { deviceReleases } from './device-releases.ts';
export { keptRequestsIn, type KeptRequest, type KeptRequests } from './kept-requests.ts';
export { acceptCard, makePersonKey, readCard, readPersonKey, withPerson, type PersonKey } from './person-key.ts';
export { formatReleasedRing, openReleasedRing, type ReleasedRing, type SealedRing } from './released-ring.ts';
export {
  ReleaseClient,
  type ReleaseClientOptions,
  type ReleaseIdentity,
  type WantedRelease,
  type WantedTakeover,
} from './release-client.ts';
