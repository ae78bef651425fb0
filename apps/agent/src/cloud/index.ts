/**
 * The agent's way to its cloud: enrolling, talking with a key that proves itself, storing and reading records, heartbeats.
 *
 * Trusted is the CA pinned at enrolment (or the system's, where the token says so) and nothing else; that this device was
 * deauthorised is believed only under the tenant's log key, pinned with it.
 */
export { CloudClient, type CloudClientOptions } from './cloud-client.ts';
export { CloudDestination, type CloudSessionFacts, type Receipt } from './cloud-destination.ts';
export { cloudPlace } from './cloud-place.ts';
export { isDeauthorized } from './deauthorization.ts';
export { startEnrolledAgent, type EnrolledAgentOptions } from './enrolled-agent.ts';
export { enroll, fetchCa, type EnrollRequest } from './enroll.ts';
export { EnrollmentStore, type DeviceKey, type Enrollment } from './enrollment-store.ts';
export { cloudErrors } from './errors.ts';
export {
  forgetDevice,
  heartbeat,
  HEARTBEAT_MS,
  keepHeartbeats,
  type AgentFacts,
  type CloudWord,
  type HeartbeatOptions,
} from './heartbeat.ts';
export { createHttpsFetch, type HttpsSettings } from './https-fetch.ts';
