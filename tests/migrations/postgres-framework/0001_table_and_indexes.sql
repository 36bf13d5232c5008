create table if not exists "task_executions" (
  id bigint primary key generated always as identity,
  root_task_id text,
  root_execution_id text,
  parent_task_id text,
  parent_execution_id text,
  index_in_parent_children integer,
  is_only_child_of_parent boolean,
  is_finalize_of_parent boolean,
  task_id text not null,
  execution_id text not null,
  is_sleeping_task boolean not null,
  sleeping_task_unique_id text,
  retry_options json not null,
  sleep_ms_before_run bigint not null,
  timeout_ms bigint not null,
  are_children_sequential boolean not null,
  input text not null,
  executor_id text,
  status text not null,
  is_finished boolean not null,
  run_output text,
  output text,
  error json,
  retry_attempts integer not null,
  start_at bigint not null,
  started_at bigint,
  expires_at bigint,
  waiting_for_children_started_at bigint,
  waiting_for_finalize_started_at bigint,
  finished_at bigint,
  children json,
  active_children_count integer not null,
  on_children_finished_processing_status text not null,
  on_children_finished_processing_expires_at bigint,
  on_children_finished_processing_finished_at bigint,
  finalize json,
  close_status text not null,
  close_expires_at bigint,
  closed_at bigint,
  needs_promise_cancellation boolean not null,
  created_at bigint not null,
  updated_at bigint not null
);
create unique index if not exists "ix_task_executions_execution_id" on "task_executions" (execution_id);
create unique index if not exists "ix_task_executions_sleeping_task_unique_id" on "task_executions" (sleeping_task_unique_id);
create index if not exists "ix_task_executions_status_start_at" on "task_executions" (status, start_at);
create index if not exists "ix_task_executions_status_ocfp_status_acc_updated_at" on "task_executions" (status, on_children_finished_processing_status, active_children_count, updated_at);
create index if not exists "ix_task_executions_close_status_updated_at" on "task_executions" (close_status, updated_at);
create index if not exists "ix_task_executions_status_is_sleeping_task_expires_at" on "task_executions" (status, is_sleeping_task, expires_at);
create index if not exists "ix_task_executions_on_ocfp_expires_at" on "task_executions" (on_children_finished_processing_expires_at);
create index if not exists "ix_task_executions_close_expires_at" on "task_executions" (close_expires_at);
create index if not exists "ix_task_executions_executor_id_npc_updated_at" on "task_executions" (executor_id, needs_promise_cancellation, updated_at);
create index if not exists "ix_task_executions_parent_execution_id_is_finished" on "task_executions" (parent_execution_id, is_finished);
create index if not exists "ix_task_executions_is_finished_close_status_updated_at" on "task_executions" (is_finished, close_status, updated_at);
create table if not exists "task_executions_migrations" (
  number integer primary key,
  name text not null,
  applied_at bigint not null,
  version text not null
);
insert into "task_executions_migrations" (number, name, applied_at, version)
  values (1, 'table_and_indexes', cast(floor(extract(epoch from clock_timestamp()) * 1000) as bigint), '0.1.0')
  on conflict do nothing;
