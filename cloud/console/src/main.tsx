import { effect } from "@preact/signals";
import { render } from "preact";
import { Page } from "./page";
import { active, follow, link, onNew } from "./feed";
import { now } from "./format";
import { announce } from "./sound";
import "./style.css";

setInterval(() => (now.value = Date.now()), 1000);
onNew.add(announce);
effect(() => {
  const unseen = active.value.filter((warning) => warning.state === "open").length;
  document.title = `${link.value === "lost" ? "⚠ " : ""}${unseen > 0 ? `(${unseen}) ` : ""}Vedette`;
});
follow(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/live`);
render(<Page />, document.getElementById("page") as HTMLElement);
