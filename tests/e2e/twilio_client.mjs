// Posts items with the official Node client, unmodified, to API_URL, and prints what it returns.
// Reads {"items": [...]} from standard input. An error of the client is printed as {"error": {...}}.
import { readFileSync } from "node:fs";
import twilio from "twilio";

class LocalClient extends twilio.RequestClient {
  request(options) {
    const { pathname, search } = new URL(options.uri);
    return super.request({ ...options, uri: process.env.API_URL + pathname + search });
  }
}

const { API_URL, ACCOUNT_SID, AUTH_TOKEN } = process.env;
const client = twilio(ACCOUNT_SID, AUTH_TOKEN, { httpClient: new LocalClient() });
const { items } = JSON.parse(readFileSync(0, "utf8"));
// JSON has no dates: a number of milliseconds stands for a Date.
const withDate = (item) =>
  typeof item?.date_of_consent === "number"
    ? { ...item, date_of_consent: new Date(item.date_of_consent) }
    : item;
const sent = Array.isArray(items) ? items.map(withDate) : items;

try {
  const bulk = await client.accounts.v1.bulkConsents.create({ items: sent });
  console.log(JSON.stringify({ items: bulk.items }));
} catch ({ name, status, code, message }) {
  console.log(JSON.stringify({ error: { name, status, code, message } }));
}
