/** The request of a new computer on the screen of somebody who is to answer it. */
import { readFileSync } from 'node:fs';
import type { HandOverRequest } from '@holdfast/agent/takeover';
import { defineErrors } from '@holdfast/base';
import { absolutePath } from '../agent-socket.ts';
import { confirm } from '../confirm.ts';
import type { Output } from '../output.ts';
import { newComputerText } from './takeover-text.ts';

const newComputerErrors = defineErrors('new_computer', {
  request_unreadable: ['not_found', 'The request of the new computer cannot be read'],
  not_confirmed: ['conflict', 'Nothing was signed: the fingerprint was not confirmed'],
});

/** What a new computer asks for, with what its screen shows. */
export type ConfirmedRequest = HandOverRequest & { readonly fingerprint: string };

/**
 * Reads the request of a new computer, and asks whether that computer shows its fingerprint.
 *
 * @throws new_computer.request_unreadable, new_computer.not_confirmed, agent_takeover.document_invalid
 */
export async function confirmedRequest(
  file: string,
  { yes, dryRun }: { readonly yes?: boolean; readonly dryRun?: boolean },
  output: Output,
): Promise<ConfirmedRequest> {
  const { fingerprintOf, parseRequest } = await import('@holdfast/agent/takeover');
  const request = parseRequest(readRequest(file));
  const fingerprint = fingerprintOf(request);
  output.note(newComputerText({ ...request, fingerprint }));
  if (!yes && !dryRun && !(await confirm(`Does its screen show ${fingerprint}?`)))
    throw newComputerErrors.not_confirmed({ fingerprint });
  return { ...request, fingerprint };
}

function readRequest(file: string): string {
  try {
    return readFileSync(absolutePath(file), 'utf8');
  } catch (error) {
    throw newComputerErrors.request_unreadable({ file }, error);
  }
}
