/**
 * API clients: programs that call the API, and the tokens they get for their secrets.
 *
 * Owns tables `api_clients`, `api_client_secrets`. Invariants: a secret is shown once and kept as a hash only; a client
 * has at most two that work; nobody makes or rotates a client that holds more than they do.
 */
export { addApiClient, parseClientId, readClientState, wireClientId } from './api-clients.ts';
export { issueClientToken, readCredentials, type ClientTokenDeps } from './issue-client-token.ts';
export { mountApiClients } from './routes.ts';
export { tables as apiClientTables } from './store.ts';
