import type { AgentParts } from '../agent.ts';
import { destinationErrors } from '../destinations/errors.ts';

/**
 * Opens every destination. One that cannot say whether it is what was opened, a server, is opened anew: it may read files
 * that have no name any more, and finds that out when it begins a session, if at the second try.
 */
export async function openAnew({ protector, destinations }: AgentParts): Promise<void> {
  const sessions = destinations.sessions().filter((session) => session.expectInPlace === undefined);
  const names = sessions.map(({ name }) => name);
  for (const session of sessions) {
    await destinations.lose(session, destinationErrors.interrupted({ destination: session.name }));
  }
  await protector.connect();
  const isOpen = (name: string) => destinations.sessions().some((session) => session.name === name);
  if (!names.every(isOpen)) await protector.connect();
}
