create table if not exists "task_executions" (
  root_task_id text,
  root_execution_id text,
  parent_task_id text,
  parent_execution_id text,
  index_in_parent_children integer,
  is_only_child_of_parent integer,
  is_finalize_of_parent integer,
  task_id text not null,
  execution_id text not null primary key,
  is_sleeping_task integer not null,
  sleeping_task_unique_id text,
  retry_options text not null,
  sleep_ms_before_run integer not null,
  timeout_ms integer not null,
  are_children_sequential integer not null,
  input text not null,
  executor_id text,
  status text not null,
  is_finished integer not null,
  run_output text,
  output text,
  error text,
  retry_attempts integer not null,
  start_at integer not null,
  started_at integer,
  expires_at integer,
  waiting_for_children_started_at integer,
  waiting_for_finalize_started_at integer,
  finished_at integer,
  children text,
  active_children_count integer not null,
  on_children_finished_processing_status text not null,
  on_children_finished_processing_expires_at integer,
  on_children_finished_processing_finished_at integer,
  finalize text,
  close_status text not null,
  close_expires_at integer,
  closed_at integer,
  needs_promise_cancellation integer not null,
  created_at integer not null,
  updated_at integer not null,
  constraint "retry_options" check (json_valid(retry_options)),
  constraint "input" check (json_valid(input)),
  constraint "status" check (status = 'ready' or status = 'running' or status = 'failed' or status = 'timed_out' or status = 'waiting_for_children' or status = 'waiting_for_finalize' or status = 'finalize_failed' or status = 'completed' or status = 'cancelled'),
  constraint "run_output" check (run_output is null or json_valid(run_output)),
  constraint "output" check (output is null or json_valid(output)),
  constraint "error" check (error is null or json_valid(error)),
  constraint "children" check (children is null or json_valid(children)),
  constraint "on_children_finished_processing_status" check (on_children_finished_processing_status = 'idle' or on_children_finished_processing_status = 'processing' or on_children_finished_processing_status = 'processed'),
  constraint "finalize" check (finalize is null or json_valid(finalize)),
  constraint "close_status" check (close_status = 'idle' or close_status = 'ready' or close_status = 'closing' or close_status = 'closed')
) strict;
create unique index if not exists "task_executions_sleeping_task_unique_id" on "task_executions" (sleeping_task_unique_id) where sleeping_task_unique_id is not null;
create index if not exists "task_executions_ready" on "task_executions" (start_at) where status = 'ready';
create index if not exists "task_executions_children_finished" on "task_executions" (updated_at) where status = 'waiting_for_children' and on_children_finished_processing_status = 'idle' and active_children_count = 0;
create index if not exists "task_executions_close_ready" on "task_executions" (updated_at) where close_status = 'ready';
create index if not exists "task_executions_running" on "task_executions" (is_sleeping_task, expires_at) where status = 'running';
create index if not exists "task_executions_ocfp_expires_at" on "task_executions" (on_children_finished_processing_expires_at) where on_children_finished_processing_expires_at is not null;
create index if not exists "task_executions_close_expires_at" on "task_executions" (close_expires_at) where close_expires_at is not null;
create index if not exists "task_executions_cancellation" on "task_executions" (executor_id, updated_at) where needs_promise_cancellation = 1;
create index if not exists "task_executions_parent" on "task_executions" (parent_execution_id) where parent_execution_id is not null;
create index if not exists "task_executions_finished" on "task_executions" (updated_at) where is_finished = 1 and close_status = 'idle';
create table if not exists "task_executions_migrations" (
  number integer primary key,
  name text not null,
  applied_at bigint not null,
  version text not null
);
insert into "task_executions_migrations" (number, name, applied_at, version)
  values (1, 'table_and_indexes', cast((julianday('now') - 2440587.5) * 86400000 as integer), '0.1.0')
  on conflict do nothing;
