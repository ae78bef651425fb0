/**
 * The agent's way to its cloud: enrolling, talking with a key that proves itself, storing and reading records, heartbeats.
 *
 * Trusted is the CA pinned at enrolment (or the system's, where the token says so) and nothing else.
 */
export { CloudClient, type CloudClientOptions } from './cloud-client.ts';
export { CloudDestination, type CloudSessionFacts, type Receipt } from './cloud-destination.ts';
export { cloudPlace } from './cloud-place.ts';
export { startEnrolledAgent, type EnrolledAgentOptions } from './enrolled-agent.ts';
export { enroll, fetchCa, type EnrollRequest } from './enroll.ts';
export { EnrollmentStore, type DeviceKey, type Enrollment } from './enrollment-store.ts';
export { cloudErrors } from './errors.ts';
export {
  forgetDevice,
  heartbeat,
  HEARTBEAT_MS,
  isDeauthorized,
  keepHeartbeats,
  type AgentFacts,
  type CloudWord,
  type HeartbeatOptions,
} from './heartbeat.ts';
export { createHttpsFetch, type HttpsSettings } from './https-fetch.ts';
