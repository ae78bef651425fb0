/**
 * Going on with another computer's archive, and handing one's own over.
 *
 * Trusted are the keyrings' signatures and what opens them; of the server, which archive a proof leads to.
 */
export { takeoverErrors } from './errors.ts';
export { type FoundArchive, takeOverArchive, type TakeoverMeans, type TakeoverRequest } from './take-over-archive.ts';
export type { RingAccess } from './open-ring.ts';
export { requestHandOver } from './request-hand-over.ts';
export {
  fingerprintOf,
  formatApproval,
  formatRequest,
  type HandOverRequest,
  openApproval,
  parseRequest,
} from './hand-over-documents.ts';
