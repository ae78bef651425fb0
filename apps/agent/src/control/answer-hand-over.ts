import type { AgentParts } from '../agent.ts';
import { EnrollmentStore } from '../cloud/enrollment-store.ts';
import { cloudErrors } from '../cloud/errors.ts';
import { parseRequest } from '../takeover/hand-over-documents.ts';
import { makeHandOver } from '../takeover/make-hand-over.ts';

/**
 * `agent.hand-over`: the document by which another computer goes on with this one's archive.
 *
 * @throws cloud_link.not_enrolled, agent_takeover.document_invalid, agent_takeover.for_another, agent_takeover.not_the_writer
 */
export function answerHandOver(parts: AgentParts, { document: text }: { document: string }): object {
  const { archive, commitClock, random, stateDir } = parts;
  const enrollment = new EnrollmentStore(stateDir).load();
  if (!enrollment) throw cloudErrors.not_enrolled();
  const request = parseRequest(text);
  const made = makeHandOver({ archive, enrollment }, request, { nowMs: commitClock.read().atMs, random });
  const { device, name, newDeviceUid } = request;
  return { ...made, device, newDevice: { name, deviceUid: newDeviceUid } };
}
