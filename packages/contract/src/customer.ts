import { z } from 'zod';
import { defineRoute } from './route.ts';

/** The tenant, in the words of existing clients. */
export const Customer = z.object({
  name: z.string(),
  registrationKey: z.string(),
  tenantId: z.uuid(),
});
export type Customer = z.infer<typeof Customer>;

/** Routes of the tenant itself. */
export const customerRoutes = {
  get: defineRoute({
    method: 'GET',
    path: '/v1/customer',
    summary: 'Read the tenant the caller belongs to',
    permission: 'customer.read',
    status: 200,
    reply: Customer,
  }),
};
